"""What the reward model is worth on feedback that it never learnt from: accuracy, in parts too, and calibration."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harken.data.encoded import EncodedPrompts
from harken.evaluate.metrics.accuracy_by import Labelled, accuracy_by, modality
from harken.evaluate.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    preference_probabilities,
    reliability_bins,
)
from harken.evaluate.metrics.learning_curve import Point, learning_curve
from harken.evaluate.metrics.reward_accuracy import Accuracy, annotator_ceiling, choices_by_score, reward_accuracy
from harken.feedback.held_out import prompts_of
from harken.feedback.pairs import implied_pairs
from harken.pipeline.roles import load_as
from harken.pipeline.run import Run
from harken.pipeline.teach import divided_feedback, workplace
from harken.pipeline.verbs import Feedback, train_reward_model
from harken.reward.model import RewardModel
from harken.reward.statements import spoken_on
from harken.types import Answer, Comparison, Completion, Prompt

SAME = 1e-6
"""Gold scores closer than this are a tie."""


def judge_reward_model(run: Run, reward: RewardModel) -> dict[str, Any]:
    """Accuracy and calibration on what was said of held-out prompts, as gold and as the annotators decide it."""
    said, sides, leaks = divided_feedback(run)
    measured = spoken_on(sides.measured, run.recipe.reward.criterion)
    completions = {completion.id: completion for completion in said.completions}
    prompts = {prompt.id: prompt for prompt in said.prompts}
    asked = [answer.feedback for answer in measured if isinstance(answer.feedback, Comparison)]
    score = _Scores(run, reward, completions, prompts)
    found: dict[str, Any] = {"held_out_comparisons": len(asked), "reward_accuracy": None}
    found["shared_with_held_out"] = dict(sorted(Counter(leak.what for leak in leaks).items()))
    if asked:
        score.add([name for pair in asked for name in (pair.a, pair.b)])
        found |= _annotators(asked, score)
        found |= _gold(run, asked, score)
    found["reward_accuracy_by"] = _in_parts(measured, score, run.recipe.evaluation.resamples)
    return found


class _Scores:
    """Scores of completions, in the unit in which probabilities are computed; each is computed once."""

    def __init__(
        self, run: Run, reward: RewardModel, completions: Mapping[str, Completion], prompts: Mapping[str, Prompt]
    ):
        self.completions, self.prompts = completions, prompts
        self._reward, self._encoded = reward, EncodedPrompts(reward.model.processor, run.blobs)
        self._of: dict[str, float] = {}

    def add(self, names: Sequence[str]) -> None:
        """Score those that were not yet."""
        used = sorted(set(names) - self._of.keys(), key=lambda name: (self.completions[name].prompt_id, name))
        if used:
            listed = [self.completions[name] for name in used]
            raw = self._reward.score_completions(listed, self.prompts, self._encoded).mean(1) * self._reward.spread
            self._of |= dict(zip(used, raw.tolist(), strict=True))

    def __getitem__(self, name: str) -> float:
        return self._of[name]


def _annotators(asked: Sequence[Comparison], score: _Scores) -> dict[str, Any]:
    """Against the annotators' own choices; nothing where none has a winner."""
    a, b = [score[pair.a] for pair in asked], [score[pair.b] for pair in asked]
    said_so = [pair.choice for pair in asked]
    decided = [i for i, choice in enumerate(said_so) if choice in ("a", "b")]
    if not decided:
        return {}
    noisy = reward_accuracy(a, b, said_so, groups=[pair.prompt_id for pair in asked])
    won = [float(said_so[i] == "a") for i in decided]
    chances = preference_probabilities([a[i] for i in decided], [b[i] for i in decided])
    return {
        "reward_accuracy_annotators": noisy.rate,
        "reward_accuracy_annotators_interval": [noisy.low, noisy.high],
        "reward_accuracy_annotators_pairs": noisy.decided,
        "calibration_error": expected_calibration_error(chances, won),
        "brier": brier_score(chances, won),
        "reliability": [asdict(one) for one in reliability_bins(chances, won)],
    }


def _gold(run: Run, asked: Sequence[Comparison], score: _Scores) -> dict[str, Any]:
    """As the hidden rule of a simulated world decides; nothing where there is none."""
    if run.world.gold is None:
        return {}
    used = sorted({name for pair in asked for name in (pair.a, pair.b)})
    made = [(name, score.completions[name]) for name in used]
    gold = {name: run.world.gold(score.prompts[completion.prompt_id], completion) for name, completion in made}
    truth = choices_by_score([gold[pair.a] for pair in asked], [gold[pair.b] for pair in asked], SAME)
    groups, found = [pair.prompt_id for pair in asked], dict[str, Any]()
    if any(choice in ("a", "b") for choice in truth):
        exact = reward_accuracy([score[p.a] for p in asked], [score[p.b] for p in asked], truth, groups=groups)
        found = {
            "reward_accuracy": exact.rate,
            "reward_accuracy_interval": [exact.low, exact.high],
            "reward_accuracy_pairs": exact.decided,
        }
    said_so = [pair.choice for pair in asked]
    if any(choice in ("a", "b") for choice in said_so):
        found["annotator_ceiling"] = annotator_ceiling(said_so, truth, groups=groups).rate
    return found


def _in_parts(measured: Sequence[Answer], score: _Scores, resamples: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Accuracy on the pairs that all kinds of feedback imply, by modality, kind and annotator."""
    pairs = implied_pairs(measured)
    if not pairs:
        return {}
    score.add([name for pair in pairs for name in (pair.better, pair.worse)])
    labelled = []
    for pair in pairs:
        about = prompts_of(pair.answer)
        labels = {
            "modality": modality(*(score.prompts[name] for name in about)),
            "kind": pair.kind,
            "annotator": f"{pair.answer.annotator} ({pair.answer.annotator_kind})",
        }
        labelled.append(Labelled(labels, about[0]))
    found = accuracy_by([score[p.better] for p in pairs], [score[p.worse] for p in pairs], labelled, resamples)
    return {way: {part: _plain(one) for part, one in parts.items()} for way, parts in found.items()}


def _plain(one: Accuracy) -> dict[str, Any]:
    return {"rate": one.rate, "low": one.low, "high": one.high, "pairs": one.decided}


def reward_curve(run: Run, round_: int, policy: str, key: str) -> dict[str, Any]:
    """Held-out accuracy of reward models that learnt from fewer answers; empty where `evaluation.curve` is."""
    sizes, config = run.recipe.evaluation.curve, run.recipe.reward
    if not sizes:
        return {}
    said, sides, _ = divided_feedback(run)
    pairs = implied_pairs(spoken_on(sides.measured, config.criterion))
    if not pairs:
        return {}
    completions = {completion.id: completion for completion in said.completions}
    prompts = {prompt.id: prompt for prompt in said.prompts}

    def learnt(subset: tuple[Answer, ...]) -> Accuracy:
        run.end_if_asked("evaluate")
        at = workplace(run, f"rounds/{round_}/curve/{len(subset)}", key)
        begun = load_as(run.folder / policy, run.recipe.model)
        reward = train_reward_model(begun, Feedback(said.prompts, said.completions, subset), config=config, at=at)
        score = _Scores(run, reward, completions, prompts)
        score.add([name for pair in pairs for name in (pair.better, pair.worse)])
        better, worse = [score[pair.better] for pair in pairs], [score[pair.worse] for pair in pairs]
        groups = [pair.answer.feedback.prompt_id for pair in pairs]
        return reward_accuracy(better, worse, ["a"] * len(pairs), groups=groups)

    answers = spoken_on(sides.learnt, config.criterion)
    found = learning_curve(answers, sizes, run.recipe.seed, learnt)
    return {"reward_curve": [asdict(Point(count, one.rate, one.low, one.high)) for count, one in found]}
