"""How good is a described reward on what it never learnt from, and would more answers help? From a store alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harken.data.blobs import Blobs
from harken.data.seeds import derive
from harken.evaluate.metrics.accuracy_by import Labelled, accuracy_by, modality
from harken.evaluate.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    preference_probabilities,
    reliability_bins,
)
from harken.evaluate.metrics.learning_curve import Point, learning_curve
from harken.evaluate.metrics.reward_accuracy import reward_accuracy
from harken.feedback.derived import votes_from_ratings
from harken.feedback.held_out import (
    MEDIA,
    Divided,
    SplitConfig,
    divide,
    held_out_prompts,
    prompts_of,
    refuse_leaks,
    shared,
)
from harken.feedback.pairs import Pair, implied_pairs
from harken.pipeline.verbs import Feedback
from harken.reward.described import DescribedConfig, DescribedReward, Describer, train_described_reward
from harken.reward.statements import on_criterion
from harken.types import Answer, Rating

MEND = (
    "hold out by what is shared (split.by=media, or a fact such as speaker), or say that it is meant: split.allow=[{}]"
)
SMALLEST, STEPS = 20, 6


@dataclass(frozen=True)
class CurveConfig:
    """What is measured.

    Attributes:
        reward: the described reward; its criterion says which answers count.
        split: how feedback is divided.
        held_out: share of the prompts that only measure.
        sizes: numbers of answers to learn from; all, a half, a quarter and so on, if none is given.
        votes: comparisons that each annotator's held-out ratings imply, at most, so that these are judged too.
        words: see `Describer`.
        seed: of what is drawn.
    """

    reward: DescribedConfig = field(default_factory=DescribedConfig)
    split: SplitConfig = field(default_factory=lambda: SplitConfig(by=MEDIA))
    held_out: float = 0.25
    sizes: tuple[int, ...] = ()
    votes: int = 400
    words: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1 or self.votes < 1:
            raise ValueError(f"held_out must lie between 0 and 1, and votes from 1 up: {self.held_out}, {self.votes}")


def described_curve(said: Feedback, blobs: Blobs, config: CurveConfig) -> dict[str, Any]:
    """A learning curve of described rewards, with accuracy in parts and calibration of the one that learnt from all.

    Args:
        said: what was said, of which prompts and completions.
        blobs: where the prompts' media lie.
        config: how.

    Returns:
        `curve` (points with accuracy, interval and calibration error), `parts` (by modality, kind, annotator),
        `reliability` (bins), `brier`, `pairs`, `shared` (what stands on both sides, as allowed) and `astride`.

    Raises:
        LeakageError: if something stands on both sides that `config.split` does not allow.
        ValueError: if nothing was said on the criterion, or nothing held-out decides between two completions.
    """
    sides, leaks = _divided(said, config)
    pairs = _pairs(sides.measured, config)
    if not pairs or not sides.learnt:
        raise ValueError(
            f"{len(sides.learnt)} answers to learn from and {len(pairs)} held-out pairs with a winner: collect more, "
            f"or hold out another share than {config.held_out}"
        )
    judge = _Judge(said, blobs, pairs, config)
    sizes = config.sizes or _halves(len(sides.learnt))
    curve = learning_curve(sides.learnt, sizes, config.seed, judge.learnt)
    last = curve[-1][1]
    return {
        "criterion": config.reward.criterion,
        "held_out_prompts": len({name for answer in sides.measured for name in prompts_of(answer)}),
        "pairs": len(pairs),
        "shared": dict(sorted(Counter(leak.what for leak in leaks).items())),
        "astride": sides.astride,
        "curve": [{**asdict(made.point), "calibration_error": made.error} for _, made in curve],
        "brier": last.brier,
        "reliability": last.bins,
        "parts": judge.parts(last.margins),
    }


def _divided(said: Feedback, config: CurveConfig) -> tuple[Divided, list[Any]]:
    prompts = {prompt.id: prompt for prompt in said.prompts}
    answers = on_criterion(said.answers, config.reward.criterion)
    spoken = {name for answer in answers for name in prompts_of(answer)}
    asked = [prompt for prompt in said.prompts if prompt.id in spoken]
    held = held_out_prompts(asked, config.held_out, config.seed, config.split.by)
    sides = divide(answers, held)
    leaks = shared(sides.learnt, sides.measured, prompts, config.split.facts)
    refuse_leaks(leaks, config.split.allow, MEND)
    return sides, leaks


def _pairs(measured: Sequence[Answer], config: CurveConfig) -> list[tuple[str, Pair]]:
    """Pairs with their kind: as said, and for ratings those that one annotator's grades imply, across prompts too."""
    rest = [answer for answer in measured if not isinstance(answer.feedback, Rating)]
    votes = votes_from_ratings(measured, config.votes, derive(config.seed, "judged"), config.reward.criterion)
    return [(pair.kind, pair) for pair in implied_pairs(rest)] + [("rating", pair) for pair in implied_pairs(votes)]


def _halves(count: int) -> tuple[int, ...]:
    sizes = [count]
    while len(sizes) < STEPS and sizes[-1] // 2 >= SMALLEST:
        sizes.append(sizes[-1] // 2)
    return tuple(sizes)


@dataclass(frozen=True)
class _Made:
    """What one reward is worth; `margins` (n,) are scores of the better less those of the worse."""

    point: Point
    error: float
    brier: float
    bins: list[dict[str, Any]]
    margins: list[float]


class _Judge:
    """Learns described rewards and judges them on the same pairs; what is measured of a medium is measured once."""

    def __init__(self, said: Feedback, blobs: Blobs, pairs: Sequence[tuple[str, Pair]], config: CurveConfig):
        self.prompts = {prompt.id: prompt for prompt in said.prompts}
        self.completions = {completion.id: completion for completion in said.completions}
        self.pairs, self.config = pairs, config
        self.describer = Describer(blobs, _chosen(said), config.words)

    def learnt(self, answers: tuple[Answer, ...]) -> _Made:
        """Learn from some answers, and judge."""
        config, seed = self.config, derive(self.config.seed, "described")
        made = train_described_reward(self.prompts, self.completions, answers, self.describer, config.reward, seed)
        score = self._scores(made)
        better, worse = [score[p.better] for _, p in self.pairs], [score[p.worse] for _, p in self.pairs]
        groups = [pair.answer.feedback.prompt_id for _, pair in self.pairs]
        found = reward_accuracy(better, worse, ["a"] * len(better), groups=groups)
        # Which of the two is named first must not depend on which one won, or confidence would all be above a half.
        turned = [derive(0, pair.answer.key, pair.better) % 2 == 1 for _, pair in self.pairs]
        first = [w if t else b for b, w, t in zip(better, worse, turned, strict=True)]
        second = [b if t else w for b, w, t in zip(better, worse, turned, strict=True)]
        chances, won = preference_probabilities(first, second), [float(not t) for t in turned]
        return _Made(
            Point(len(answers), found.rate, found.low, found.high),
            expected_calibration_error(chances, won),
            brier_score(chances, won),
            [asdict(one) for one in reliability_bins(chances, won)],
            [b - w for b, w in zip(better, worse, strict=True)],
        )

    def _scores(self, made: DescribedReward) -> Mapping[str, float]:
        names = sorted({name for _, pair in self.pairs for name in (pair.better, pair.worse)})
        rows = made.scores([self.completions[name] for name in names], self.prompts, self.describer)
        return dict(zip(names, (rows.mean(1) * made.spread).tolist(), strict=True))

    def parts(self, margins: Sequence[float]) -> dict[str, dict[str, dict[str, Any]]]:
        """Accuracy by modality, kind and annotator."""
        labelled = []
        for kind, pair in self.pairs:
            about = prompts_of(pair.answer)
            who = f"{pair.answer.annotator} ({pair.answer.annotator_kind})"
            labels = {"modality": modality(*(self.prompts[name] for name in about)), "kind": kind, "annotator": who}
            labelled.append(Labelled(labels, about[0]))
        found = accuracy_by(margins, [0.0] * len(margins), labelled, resamples=2000)
        return {
            way: {
                part: {"rate": one.rate, "low": one.low, "high": one.high, "pairs": one.decided}
                for part, one in parts.items()
            }
            for way, parts in found.items()
        }


def _chosen(said: Feedback) -> tuple[str, ...]:
    """The texts that are chosen among, where every prompt has the same two or more."""
    texts: dict[str, list[str]] = {}
    for completion in said.completions:
        if not completion.policy.startswith("annotator:"):
            texts.setdefault(completion.prompt_id, []).append(completion.text)
    sets = {tuple(sorted(several)) for several in texts.values()}
    only = next(iter(sets)) if len(sets) == 1 else ()
    return only if 1 < len(only) == len(set(only)) and len(texts) > 1 else ()
