"""The stages that change weights: supervised training, the reward model, reinforcement or training on preferences."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from torch import Tensor

from harken.algorithms.objective import Objective, PreferenceObjective, RLAlgorithm
from harken.algorithms.sft import SFT
from harken.data.clean import Leak
from harken.data.encoded import EncodedPrompts, refuse_unreadable
from harken.data.processor import Processor
from harken.data.seeds import derive
from harken.feedback.held_out import Divided, divide, held_out_prompts, refuse_leaks, shared
from harken.models.fusion.build import build
from harken.models.fusion.config import FusionConfig
from harken.models.load import weights_dtype
from harken.models.model import Model
from harken.pipeline.artefact import fresh_folder, write_text
from harken.pipeline.roles import as_configured, in_training, load_as, prepare
from harken.pipeline.run import Run
from harken.pipeline.settings import ModelConfig
from harken.pipeline.verbs import (
    Feedback,
    Workplace,
    fine_tune_with_preferences,
    fine_tune_with_rl,
    read_run_feedback,
    train_reward_model,
)
from harken.reward.model import load_reward_model
from harken.train.adversarial import in_training_against, refuse_unseen
from harken.train.loop import SAMPLES, Fit, fit
from harken.train.sources import Demonstrations, Taught
from harken.train.stopping import held_out, held_out_likelihood
from harken.train.targets import never_seen, targets_of
from harken.train.tasks import refuse_parts_of_one, tasks_of

Work = Callable[[Run, str], None]
MEND = (
    "hold out together what belongs together (reward.split.by=media, or a fact such as speaker), or say that it is "
    "meant: reward.split.allow=[{}]"
)
SHOWN = ("reward", "kl", "loss", "accuracy")


def workplace(run: Run, stage: str, key: str) -> Workplace:
    """Where a stage trains, and how it tells of itself."""

    def on_step(done: int, total: int, metrics: Mapping[str, float]) -> None:
        note = "  ".join(f"{name} {metrics[name]:.3f}" for name in SHOWN if name in metrics)
        run.progress.advance(stage, done, total, note)
        run.progress.figures(stage, done, metrics)

    options: dict[str, Any] = {
        "checkpoint_every": run.recipe.checkpoint_every,
        "tracker": run.recipe.tracker,
        "on_step": on_step,
        "stop": run.stop,
    }
    seed = derive(run.recipe.seed, stage)
    return Workplace(run.blobs, seed, run.folder / "training" / stage, stage, key, run.metrics, options)


def start_model(run: Run) -> Model:
    """The model that the recipe begins with."""
    recipe = run.recipe
    say_what_is_not_read(run)
    if recipe.model.path is not None:
        return load_as(recipe.model.path, recipe.model)
    trunk, processor = build(recipe.model.family, run.world.corpus, derive(recipe.seed, "model"))
    return as_configured(Model(trunk, Processor(processor)), recipe.model)


def say_what_is_not_read(run: Run) -> None:
    """Tell that a model from a folder has the folder's parts, where the recipe names others."""
    said, plain = run.recipe.model, ModelConfig()
    named = [name for name in ("encoders", "fuse", "heads") if getattr(said, name) != getattr(plain, name)]
    if said.path is not None and named:
        run.progress.say(
            f"model.path: the model's parts are those of {said.path}; what the recipe says of "
            f"{' and '.join('model.' + name for name in named)} is not read"
        )


def sft(run: Run, key: str) -> None:
    """Supervised training on demonstrations, and on their prompts' facts; without any, the model as it is.

    Raises:
        ValueError: if an adapter is to be trained, which would leave heads beside language as they are.
    """
    model, config, at = start_model(run), run.recipe.sft, workplace(run, "sft", key)
    heads, _ = spoken_heads(model)
    if heads and config.adapter:
        raise ValueError(
            f"sft.adapter trains nothing but the adapter, and the heads ({', '.join(heads)}) would learn nothing; "
            "leave sft.adapter out"
        )
    _say_what_is_left_out(run, heads)
    refuse_unreadable(run.world.test, model.processor, run.blobs)
    if run.world.demonstrations:
        seed = derive(at.seed, "adapter")
        with in_training(model, "policy", config.adapter, seed) if config.adapter else nullcontext(model) as model:
            _imitate(model, run, at)
    with fresh_folder(run.folder / "sft") as folder:
        model.save(folder)


def _say_what_is_left_out(run: Run, heads: Mapping[str, Any]) -> None:
    """Prompts without a reference are no demonstrations, so that their facts teach nothing."""
    left = sum(not p.references and any(name in p.facts for name in heads) for p in run.world.prompts)
    if left:
        run.progress.say(f"{left} prompts have facts for {', '.join(heads)} but no references; they teach nothing")


def _imitate(model: Model, run: Run, at: Workplace) -> None:
    config, seed, pairs = run.recipe.sft, run.recipe.seed, run.world.demonstrations
    encoded = EncodedPrompts(model.processor, run.blobs)
    prompts = [prompt for prompt, _ in pairs]
    prepare(model, prompts, encoded)
    if config.change is not None or config.attack is not None:
        model.features = None  # what was computed before is of media as they are
    heads, objective = spoken_heads(model)
    refuse_parts_of_one(heads, config.data.batch // config.data.accumulate)
    module, moved = in_training_against(model, objective, config.attack), encoded
    if config.attack is not None:
        moved = EncodedPrompts(model.processor, run.blobs, samples=config.attack.moves_samples)
        refuse_unseen(config.attack, (moved([prompt])[0] for prompt in prompts))
    held, learnt = held_out(range(len(pairs)), lambda i: pairs[i][0].id, config.stopping, at.seed)
    targets = targets_of(prompts, heads)
    say_never_seen(run, targets, heads)
    measure = None
    drop = model.trunk.config.fuse_part().drop if isinstance(model.trunk.config, FusionConfig) else 0.0

    def source_of(numbers: Sequence[int], learning: bool) -> Demonstrations:
        mine = {name: rows[list(numbers)] for name, rows in targets.items()}
        taught = Taught(mine, config.change, drop) if learning else Taught(mine)
        reading = moved if learning else encoded
        return Demonstrations([pairs[i] for i in numbers], reading, config.data, seed, taught)

    if held:
        unseen = source_of(held, False)
        measure = held_out_likelihood(model, objective, unseen.batch_of, len(held), config.data.batch)
    assert at.folder is not None, "a stage has its folder"
    how = Fit(at.folder, "sft", at.key, seed, config.optimizer, run.metrics, **at.options)
    fit(module, source_of(learnt, True), objective, replace(how, stopping=config.stopping, measure=measure))


def say_never_seen(run: Run, targets: Mapping[str, Tensor], heads: Mapping[str, Any]) -> None:
    """Tell of classes that no example is of: a model never learns to name them."""
    for name, classes in never_seen(targets, heads).items():
        shown = ", ".join(classes[:10]) + (" ..." if len(classes) > 10 else "")
        run.progress.say(f"heads.{name}: no example is of {len(classes)} of its classes ({shown})")


def spoken_heads(model: Model) -> tuple[dict[str, Any], Objective]:
    """The settings of the heads beside a language head, and the objective of all of them."""
    config = model.trunk.config
    if not isinstance(config, FusionConfig) or not config.heads:
        return {}, SFT()
    heads = config.head_parts()
    return heads, tasks_of(heads, (config.language["name"], config.language["weight"]))


def divided_feedback(run: Run) -> tuple[Feedback, Divided, list[Leak]]:
    """All feedback of a run; what is learnt from and what measures; and what stands on both sides, as allowed.

    Raises:
        LeakageError: if something stands on both sides that `reward.split` does not allow.
    """
    said, split = read_run_feedback(run.folder), run.recipe.reward.split
    held = held_out_prompts(said.prompts, run.recipe.completions.held_out, run.recipe.seed, split.by)
    sides = divide(said.answers, held)
    found = shared(sides.learnt, sides.measured, {prompt.id: prompt for prompt in said.prompts}, split.facts)
    refuse_leaks(found, split.allow, MEND)
    if sides.astride:
        run.progress.say(f"{sides.astride} comparisons of a held-out prompt with another one teach and measure nothing")
    return said, sides, found


def learnt_feedback(run: Run) -> Feedback:
    """What was said of the prompts that are not held out.

    Raises:
        LeakageError: as `divided_feedback`.
    """
    said, sides, _ = divided_feedback(run)
    return Feedback(said.prompts, said.completions, sides.learnt)


def reward_work(round_: int, policy: str) -> Work:
    """Fit the reward model of a round, beginning from a policy's weights or, with a trunk of its own, from nothing."""

    def work(run: Run, key: str) -> None:
        stage = f"rounds/{round_}/reward"
        own = run.recipe.reward.model.trunk == "encoders"
        reward = train_reward_model(
            None if own else load_as(run.folder / policy, run.recipe.model),
            learnt_feedback(run),
            config=run.recipe.reward,
            at=workplace(run, stage, key),
        )
        with fresh_folder(run.folder / stage) as folder:
            reward.save(folder)

    return work


def preferences_work(round_: int, policy: str) -> Work:
    """Move a policy towards what was said, without the reward model."""

    def work(run: Run, key: str) -> None:
        stage = f"rounds/{round_}/aligned"
        config, algorithm = run.recipe.align, run.recipe.made_algorithm()
        assert isinstance(algorithm, PreferenceObjective), "the plan asks for this with such an algorithm alone"
        begun = load_as(run.folder / policy, run.recipe.model)
        # As in reinforcement: with an adapter, the policy it began as is the reference.
        reference = None if config.adapter or not algorithm.reference else load_as(run.folder / "sft", run.recipe.model)
        model = fine_tune_with_preferences(
            begun,
            learnt_feedback(run),
            algorithm=algorithm,
            config=config,
            reference=reference,
            at=workplace(run, stage, key),
        )
        with fresh_folder(run.folder / stage) as folder:
            model.save(folder)
        write_text(run.folder / f"{stage}.samples.jsonl", "")  # it samples nothing

    return work


def align_work(round_: int, policy: str, human_only: bool) -> Work:
    """Move a policy towards the reward of a round; `human_only` leaves the environment's rewards out."""

    def work(run: Run, key: str) -> None:
        stage = f"rounds/{round_}/{'human_only' if human_only else 'aligned'}"
        config, algorithm = run.recipe.align, run.recipe.made_algorithm()
        assert isinstance(algorithm, RLAlgorithm), "the plan asks for this with such an algorithm alone"
        if human_only:
            mix = replace(config.rollout.mix, environment={})
            config = replace(config, rollout=replace(config.rollout, mix=mix))
        begun = load_as(run.folder / policy, run.recipe.model)
        dtype = weights_dtype(run.recipe.model.dtype)
        # With an adapter the policy it began as is the reference: one copy of the weights.
        reference = None if config.adapter else load_as(run.folder / "sft", run.recipe.model)
        model = fine_tune_with_rl(
            begun,
            load_reward_model(run.folder / f"rounds/{round_}/reward", begun if config.adapter else None, dtype),
            run.world.prompts,
            algorithm=algorithm,
            config=config,
            reference=reference,
            at=workplace(run, stage, key),
        )
        with fresh_folder(run.folder / stage) as folder:
            model.save(folder)
        samples = run.folder / "training" / stage / SAMPLES
        write_text(run.folder / f"{stage}.samples.jsonl", samples.read_text())

    return work
