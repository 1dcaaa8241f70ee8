"""The four lines: load a model, ask people, learn a reward, align. The stages and the CLI call these too."""

import copy
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from harken.algorithms.objective import Objective, PreferenceObjective, RLAlgorithm
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.prompts import load_prompts
from harken.data.seeds import derive
from harken.feedback.annotators.annotator import Annotator
from harken.feedback.annotators.human import HumanAnnotator
from harken.feedback.collect import CollectReport, collect
from harken.feedback.queue import Compare, Staff, assign_pairs, plan_questions
from harken.feedback.records import keepable
from harken.feedback.store import FeedbackStore
from harken.models.load import Dtype, load_model, weights_dtype
from harken.models.model import Model
from harken.pipeline.artefact import digest
from harken.pipeline.recipe import make_algorithm
from harken.pipeline.roles import fingerprint, in_training, prepare, reward_trunk
from harken.pipeline.settings import AlignConfig, CompletionsConfig, FeedbackConfig, RewardConfig
from harken.reward.combining import Combining
from harken.reward.mix import Mix
from harken.reward.model import RewardModel
from harken.reward.objective import FeedbackObjective
from harken.reward.statements import on_criterion, scales_of
from harken.reward.wording import Wording
from harken.train.answering import Sampling, sample_completions
from harken.train.frozen import fit_heads
from harken.train.judgements import Judgements, judgements_of
from harken.train.loop import Fit, Source, fit
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import Preferences, pairs_of
from harken.train.rollout import RolloutConfig, Rollouts
from harken.train.scorer import Scorer
from harken.train.statements import Statements
from harken.train.stopping import StoppingConfig, held_out, held_out_likelihood
from harken.train.vllm import VLLMSampler
from harken.types import Answer, Completion, Prompt

Prompts = str | Path | Sequence[Prompt]
BLOBS = Path("runs/blobs")


@dataclass(frozen=True)
class Workplace:
    """Where a verb works, with which seed, and who is told of it.

    Attributes:
        blobs: where the media of prompts lie; `runs/blobs` if not said.
        seed: of everything drawn.
        folder: for checkpoints and `metrics.jsonl`; a temporary one, gone afterwards, if none is given.
        stage: its name in `metrics.jsonl`.
        key: hash of settings and inputs: a checkpoint of another key is not continued; made of them if not said.
        log: the `metrics.jsonl`, if it is not the folder's own.
        options: further fields of `train.loop.Fit` (tracker, checkpoint_every, on_step, stop).
    """

    blobs: Blobs = field(default_factory=lambda: Blobs(BLOBS))
    seed: int = 0
    folder: Path | None = None
    stage: str = "training"
    key: str = ""
    log: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Feedback:
    """What was said, with what it was said of.

    Attributes:
        prompts: what was asked.
        completions: what annotators saw, and the revisions that they wrote.
        answers: what they said, in order.
    """

    prompts: tuple[Prompt, ...]
    completions: tuple[Completion, ...]
    answers: tuple[Answer, ...]


def read_feedback(store: FeedbackStore) -> Feedback:
    """All that a store holds."""
    return Feedback(tuple(store.prompts()), tuple(store.completions()), tuple(store.answers()))


def read_run_feedback(folder: Path) -> Feedback:
    """All that the store of a run holds."""
    with FeedbackStore(folder / "feedback.db") as store:
        return read_feedback(store)


def load_pretrained_model(path: str | Path, dtype: Dtype = "auto") -> Model:
    """A multimodal model with its processor: a folder, or a name on the Hugging Face hub.

    The folders `sft/`, `reward/` and `aligned/` of a run can all be given. Weights are bfloat16 on a GPU that computes
    in it, and float32 elsewhere, unless `dtype` says otherwise.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if its weights are not in safetensors, or it has no chat template.
    """
    return load_model(path, weights_dtype(dtype))


def _prompts(prompts: Prompts, blobs: Blobs) -> list[Prompt]:
    return load_prompts(Path(prompts), blobs) if isinstance(prompts, str | Path) else list(prompts)


def collect_human_feedback(
    model: Model,
    prompts: Prompts,
    *,
    annotator: Literal["me"] | Annotator | Sequence[Annotator] = "me",
    questions: FeedbackConfig | None = None,
    completions: CompletionsConfig | None = None,
    store: str | Path = "runs/feedback.db",
    at: Workplace | None = None,
) -> Feedback:
    """Have a model answer prompts, and people say which answers are better.

    Each answer is in the store before the next question is asked; a second call with the same arguments goes on
    where the first one stopped.

    Args:
        model: who answers.
        prompts: a JSONL file, or prompts.
        annotator: `"me"` asks in the terminal; or one or several annotators.
        questions: how many of each kind; 20 comparisons if not said.
        completions: how the model answers; two completions of each prompt if not said.
        store: file or URL of the feedback store; only ever added to.
        at: seed, media, and whom to tell of progress.

    Raises:
        PromptError: if the file cannot be read; it says where.
    """
    at = at or Workplace()
    config = completions or CompletionsConfig(each=2)
    asked = _prompts(prompts, at.blobs)[: config.prompts]
    how = Sampling("model", config.each, config.decoding, derive(at.seed, "completions"))
    sampled = sample_completions(model, asked, EncodedPrompts(model.processor, at.blobs), how)
    made = [replace(one, text=keepable(one.text)) for one in sampled]
    answering = [HumanAnnotator("me", at.blobs)] if isinstance(annotator, str) else annotator
    listed = list(answering) if isinstance(answering, Sequence) else [answering]
    with FeedbackStore(store) as opened:
        opened.add_prompts(asked)
        opened.add_completions(made)
        ask(opened, made, listed, questions or FeedbackConfig(comparisons=20, ratings=0, edits=0), at.seed)
        return read_feedback(opened)


def ask(
    store: FeedbackStore,
    completions: Sequence[Completion],
    annotators: Sequence[Annotator],
    questions: FeedbackConfig,
    seed: int,
    on_answer: Callable[[int, int], None] = lambda done, total: None,
    chosen: Sequence[Compare] | None = None,
) -> CollectReport:
    """Plan questions about a store's completions and put annotators' answers there; goes on where it stopped.

    The pairs to compare are random, or those that were `chosen`; they come among the other questions.
    """
    if chosen is None and questions.select.policy != "random":
        raise ValueError(f"select.policy={questions.select.policy} needs a run with rounds; here pairs are random")
    kinds = {
        "comparison": questions.comparisons if chosen is None else 0,
        "ranking": questions.rankings,
        "rating": questions.ratings,
        "edit": questions.edits,
    }
    by_id = {annotator.id: annotator for annotator in annotators}
    assignments = plan_questions(completions, kinds, sorted(by_id), questions.overlap, seed)
    if chosen is not None:
        assignments += assign_pairs(chosen, Staff(sorted(by_id), questions.overlap), seed)
        random.Random(derive(seed, "order")).shuffle(assignments)
    done = 0

    def answered(*_: object) -> None:
        nonlocal done
        done += 1
        on_answer(done, len(assignments))

    return collect(store, assignments, by_id, answered)


def _fit(module: nn.Module, source: Source, objective: Objective, optimizer: OptimizerConfig, at: Workplace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = at.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        log = at.log or folder / "metrics.jsonl"
        fit(module, source, objective, Fit(folder, at.stage, at.key, at.seed, optimizer, log, **at.options))


def _named(at: Workplace, what: object, *modules: nn.Module | None) -> Workplace:
    """With a key of what is trained, on what and how, so that no other training's checkpoint is gone on with."""
    if at.key or at.folder is None:
        return at
    return replace(at, key=digest([at.stage, at.seed, repr(what), *map(fingerprint, modules)]))


def _measured(at: Workplace, stopping: StoppingConfig, measure: Callable[[], float] | None) -> Workplace:
    return replace(at, options={**at.options, "stopping": stopping, "measure": measure})


def train_reward_model(
    model: Model | None,
    feedback: Feedback,
    *,
    config: RewardConfig | None = None,
    at: Workplace | None = None,
) -> RewardModel:
    """A reward model from everything that was said: comparisons, rankings, ratings and edits at once.

    Args:
        model: its trunk begins as this model's; the model itself is not changed. Not read, and may be None, where
            `config.model.trunk` is `encoders`.
        feedback: what was said.
        config: what the reward model is, and its training.
        at: where to work, and the seed.

    Returns:
        the reward model; its scores have mean 0 and spread 1 over the completions that were shown.

    Raises:
        ValueError: if nothing was said.
    """
    config, at = config or RewardConfig(), at or Workplace(stage="reward")
    answers = on_criterion(feedback.answers, config.criterion)
    if not answers:
        raise ValueError("there is no feedback to learn a reward model from; collect some first")
    begun = reward_trunk(model, config.model, feedback.prompts, feedback.completions, derive(at.seed, "trunk"))
    at = _named(at, (config, feedback), begun)
    with in_training(begun, "reward", config.adapter, derive(at.seed, "adapter")) as trunk:
        trunk.drop_heads()
        encoded = EncodedPrompts(trunk.processor, at.blobs)
        prompts = {prompt.id: prompt for prompt in feedback.prompts}
        completions = {completion.id: completion for completion in feedback.completions}
        wording = Wording(sorted({answer.annotator for answer in answers}), scales_of(answers))
        reward = RewardModel(trunk, wording, config.model, at.seed, Combining(config.combine, config.uncertainty))
        prepare(trunk, feedback.prompts, encoded)
        spans = config.weights.get("edit_span", 0.0) > 0

        def statements(answers: Sequence[Answer], members: int = config.model.heads) -> Statements:
            words = reward.wording
            return Statements(answers, prompts, completions, encoded, words, config, at.seed, members, spans)

        if config.model.head == "linear":
            fit_heads(reward, statements(answers), config.linear, config.weights)
        else:
            objective = FeedbackObjective(reward.wording, dict(config.weights), len(answers), config.shrink)
            held, learnt = held_out(answers, lambda answer: answer.feedback.prompt_id, config.stopping, at.seed)
            measure = None
            if held:
                # Of one member: a bootstrap is for learning; what is measured must not depend on how many learn.
                measure = held_out_likelihood(reward, objective, statements(held, 1).batch_of, len(held), config.batch)
            _fit(reward, statements(learnt), objective, config.optimizer, _measured(at, config.stopping, measure))
        shown = [c for c in feedback.completions if not c.policy.startswith("annotator:")]
        shown.sort(key=lambda completion: completion.prompt_id)
        reward.fix_scale(reward.score_completions(shown, prompts, encoded))
    return reward.eval()


def fine_tune_with_rl(
    model: Model,
    reward_model: RewardModel | None,
    prompts: Prompts,
    *,
    algorithm: str | RLAlgorithm = "ppo",
    config: AlignConfig | None = None,
    reference: Model | None = None,
    at: Workplace | None = None,
) -> Model:
    """Move a model towards what a reward model says people prefer.

    Args:
        model: where the policy begins; not changed itself.
        reward_model: the reward; None where only rules of the environment reward.
        prompts: a JSONL file, or prompts, to practise on.
        algorithm: a file of `harken/algorithms` by name, or an algorithm with its settings.
        config: how much; the environment's rules are in `config.rollout.mix` (none if not said).
        reference: what the KL penalty holds to; `model` if not said (with an adapter: the same weights without it).
        at: where to work, and the seed.

    Returns:
        the aligned model.

    Raises:
        ValueError: if nothing rewards, there are no prompts, or the algorithm is none of reinforcement.
    """
    at = at or Workplace(stage="align")
    config = config or AlignConfig(rollout=RolloutConfig(mix=Mix(environment={})))
    rollout = config.rollout
    if reward_model is None and not rollout.mix.environment:
        raise ValueError("nothing rewards: give a reward model, or rules in config.rollout.mix.environment")
    made = make_algorithm({"name": algorithm}) if isinstance(algorithm, str) else algorithm
    if not isinstance(made, RLAlgorithm):
        raise ValueError(f"{type(made).__name__} learns from people's answers; call fine_tune_with_preferences")
    if rollout.mix.dense and (reward_model is None or "values" not in made.needs):
        raise ValueError("mix.dense gives a reward model's score token by token to a critic: use ppo or a2c, with one")
    asked = _prompts(prompts, at.blobs)
    if not asked:
        raise ValueError("there are no prompts to align on")
    at = _named(at, (made, config, asked), model, reward_model, reference)
    with in_training(model, "policy", config.adapter, derive(at.seed, "adapter")) as policy:
        held = reference or _as_it_was(model, config)
        if "values" in made.needs:
            policy.add_heads("value", 1, derive(at.seed, "value head"))
        policy.temperature = held.temperature = rollout.decoding.temperature
        for module in (held, reward_model):
            if module is not None:
                module.eval()
        scorer = Scorer(
            rollout.mix, reward_model, EncodedPrompts(reward_model.model.processor, at.blobs) if reward_model else None
        )
        encoded = EncodedPrompts(policy.processor, at.blobs)
        prepare(policy, asked, encoded)
        held.features = policy.features if held.trunk is policy.trunk else held.features
        unseen, practised = held_out(asked, lambda prompt: prompt.id, config.stopping, at.seed)
        sampler = VLLMSampler(rollout.vllm, encoded, policy.suppressed) if rollout.vllm else None
        source = Rollouts(policy, held, scorer, practised, encoded, made, rollout, at.seed, sampler)
        measure = (lambda: source.held_out_reward(unseen)) if unseen else None
        _fit(policy, source, made, config.optimizer, _measured(at, config.stopping, measure))
    return policy.eval()


def _as_it_was(model: Model, config: AlignConfig) -> Model:
    """The model that a policy began as: a copy, or the same weights where only an adapter is trained."""
    return copy.deepcopy(model) if config.adapter is None else model.beside(model.adapter)


def fine_tune_with_preferences(
    model: Model,
    feedback: Feedback,
    *,
    algorithm: str | PreferenceObjective = "dpo",
    config: AlignConfig | None = None,
    reference: Model | None = None,
    at: Workplace | None = None,
) -> Model:
    """Move a model towards what people said that they prefer, without a reward model and without sampling.

    Args:
        model: where the policy begins; not changed itself.
        feedback: what was said; comparisons, rankings, ratings and edits all count.
        algorithm: a file of `harken/algorithms` by name (dpo, ipo, kto, orpo, simpo), or one with its settings.
        config: how much (`config.preferences`), the optimizer and the adapter.
        reference: what the policy is measured against, for the algorithms that need it; `model` if not said (with an
            adapter: the same weights without it).
        at: where to work, and the seed.

    Returns:
        the aligned model.

    Raises:
        ValueError: if nobody said that one completion is better than another, or the algorithm learns from rollouts.
    """
    at, config = at or Workplace(stage="align"), config or AlignConfig()
    made = make_algorithm({"name": algorithm}) if isinstance(algorithm, str) else algorithm
    if not isinstance(made, PreferenceObjective):
        raise ValueError(f"{type(made).__name__} learns from rollouts and their rewards; call fine_tune_with_rl")
    prompts = {prompt.id: prompt for prompt in feedback.prompts}
    completions = {completion.id: completion for completion in feedback.completions}
    at = _named(at, (made, config, feedback), model, reference)
    with in_training(model, "policy", config.adapter, derive(at.seed, "adapter")) as policy:
        held = (reference or _as_it_was(model, config)).eval() if made.reference else None
        encoded = EncodedPrompts(policy.processor, at.blobs)
        how = config.preferences
        unseen, learnt = held_out(feedback.answers, lambda answer: answer.feedback.prompt_id, config.stopping, at.seed)

        def source_of(answers: Sequence[Answer]) -> Judgements | Preferences:
            if made.learns == "judgements" and held is not None:
                return Judgements(judgements_of(answers, completions), prompts, encoded, how, at.seed, policy, held)
            return Preferences(pairs_of(answers, completions), prompts, encoded, how, at.seed, held)

        prepare(
            policy, [prompts[name] for name in dict.fromkeys(a.feedback.prompt_id for a in feedback.answers)], encoded
        )
        if held is not None:
            held.temperature = policy.temperature
            held.features = policy.features if held.trunk is policy.trunk else held.features
        measure = None
        if unseen:
            try:
                apart = source_of(unseen)
            except ValueError as e:
                raise ValueError(f"the answers held out to measure on (stopping.share) are too few: {e}") from None
            measure = held_out_likelihood(policy, made, apart.batch_of, len(apart), how.batch)
        _fit(policy, source_of(learnt), made, config.optimizer, _measured(at, config.stopping, measure))
    return policy.eval()
