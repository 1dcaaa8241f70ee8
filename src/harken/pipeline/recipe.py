"""A run is a file: all settings, checked at the door; an unknown key is an error that names the nearest known."""

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import TypeAdapter, ValidationError

import harken.algorithms
from harken.algorithms.objective import PreferenceObjective, RLAlgorithm
from harken.feedback.annotators.judge import JudgeConfig
from harken.models.fusion.build import FamilyConfig
from harken.models.generate import Decoding
from harken.models.load import Dtype
from harken.models.lora import AdapterConfig
from harken.reward.model import RewardModelConfig
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import PreferencesConfig
from harken.train.rollout import RolloutConfig
from harken.train.sources import DemonstrationsConfig
from harken.train.stopping import StoppingConfig

DEFAULT_ALGORITHM = "ppo"


class RecipeError(ValueError):
    """A recipe, or an override of it, cannot be read."""


@dataclass(frozen=True)
class DataConfig:
    """Where prompts come from.

    Attributes:
        name: `demo` or `spoken_digits` (worlds with tasks, demonstrations and simulated annotators), or `prompts`
            (JSONL files).
        root: folder of the data sets of `spoken_digits`.
        prompts: JSONL of prompts to align on, for `prompts`.
        test: JSONL of held-out prompts; a tenth of `prompts`, split by media, if none is given.
        demonstrations: demonstrations that a world makes.
        ask: prompts that a world makes for feedback and alignment.
        held_out: test prompts that a world makes.
        skip_bad: leave bad records out, counted and listed, instead of refusing the file.
    """

    name: Literal["demo", "spoken_digits", "prompts"] = "demo"
    root: str | None = None
    prompts: str | None = None
    test: str | None = None
    demonstrations: int = 3000
    ask: int = 1200
    held_out: int = 400
    skip_bad: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """The model to begin with.

    Attributes:
        path: a folder or a name on the hub; a new model of the family if none is given.
        family: the sizes of a new model.
        dtype: of the weights; `auto` is bfloat16 on a GPU that computes in it, float32 elsewhere.
        freeze_encoders: leave the encoders of pictures and sounds as they are; what they make of each medium is then
            computed once, kept on disk, and read by every role in every epoch.
        recompute: compute the decoder's layers again in the backward pass; less memory, a third more time.
    """

    path: str | None = None
    family: FamilyConfig = field(default_factory=FamilyConfig)
    dtype: Dtype = "auto"
    freeze_encoders: bool = False
    recompute: bool = False


@dataclass(frozen=True)
class SftConfig:
    """Supervised training on demonstrations.

    Attributes:
        data: how much.
        optimizer: how weights move.
        adapter: train a low-rank adapter and not the weights; it is added to them in the end.
        stopping: early stopping on the likelihood of a part of the demonstrations that is not learnt from.
    """

    data: DemonstrationsConfig = field(default_factory=DemonstrationsConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    adapter: AdapterConfig | None = None
    stopping: StoppingConfig = field(default_factory=StoppingConfig)


@dataclass(frozen=True)
class CompletionsConfig:
    """What people are asked about.

    Attributes:
        prompts: how many of the prompts are answered.
        each: completions of each.
        decoding: how they are sampled.
        held_out: share of these prompts whose feedback only measures the reward model.
    """

    prompts: int = 600
    each: int = 3
    decoding: Decoding = field(default_factory=Decoding)
    held_out: float = 0.25


@dataclass(frozen=True)
class FeedbackConfig:
    """What is asked, and of whom.

    Attributes:
        annotator: `simulated` (only worlds have these), `me` (asks in the terminal) or `judge` (a model).
        comparisons: how many comparisons.
        rankings: how many rankings.
        ratings: how many ratings.
        edits: how many edits.
        overlap: how many annotators get each question.
        judge: which model, where, and what it is told; for `judge`, which neither ranks nor edits.
    """

    annotator: Literal["simulated", "me", "judge"] = "simulated"
    comparisons: int = 900
    rankings: int = 0
    ratings: int = 300
    edits: int = 100
    overlap: int = 1
    judge: JudgeConfig | None = None

    def __post_init__(self) -> None:
        if self.annotator != "judge":
            return
        if self.judge is None:
            raise ValueError(
                "feedback.annotator=judge needs feedback.judge.url and feedback.judge.model, such as "
                "http://127.0.0.1:8000 and the name that the server lists under /v1/models"
            )
        if self.rankings or self.edits:
            raise ValueError("a judge compares and rates; say feedback.rankings=0 feedback.edits=0")


@dataclass(frozen=True)
class RewardConfig:
    """The reward model and its training.

    Attributes:
        model: what it is.
        steps: optimizer steps.
        batch: statements a step.
        accumulate: parts in which a step goes through the model, to save memory.
        stopping: early stopping on the likelihood of a part of the answers that is not learnt from.
        weights: how much each kind of feedback counts.
        optimizer: how weights move.
        adapter: train a low-rank adapter on the policy's own weights, which stay as they are.
    """

    model: RewardModelConfig = field(default_factory=RewardModelConfig)
    steps: int = 120
    batch: int = 32
    accumulate: int = 1
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    weights: Mapping[str, float] = field(
        default_factory=lambda: {"comparison": 1.0, "ranking": 1.0, "rating": 0.5, "edit": 1.0}
    )
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=1e-3, muon_rate=1e-3))
    adapter: AdapterConfig | None = None


@dataclass(frozen=True)
class AlignConfig:
    """How the policy is moved towards what people prefer.

    Attributes:
        rollout: how much reinforcement, and the mix of rewards; for algorithms that sample.
        preferences: how much training on people's answers; for algorithms that learn from these directly.
        optimizer: how weights move.
        human_only: whether a second policy is trained without the environment's rewards, for the report.
        adapter: train a low-rank adapter: policy with it, reference without it, on one copy of the weights.
        stopping: early stopping on a part of the prompts that is not learnt from: by the mean reward there, or where
            people's answers are learnt from directly by their likelihood.
    """

    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    preferences: PreferencesConfig = field(default_factory=PreferencesConfig)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=5e-4, muon_rate=5e-4))
    human_only: bool = True
    adapter: AdapterConfig | None = None
    stopping: StoppingConfig = field(default_factory=StoppingConfig)


@dataclass(frozen=True)
class EvaluationConfig:
    """The evaluation.

    Attributes:
        decoding: how held-out prompts are answered; as the policy is, if the temperature is 1.
        resamples: of the bootstrap.
        examples: answers shown side by side in the report.
        language: for BLEU and ROUGE.
    """

    decoding: Decoding = field(default_factory=Decoding)
    resamples: int = 10_000
    examples: int = 10
    language: str = "en"


@dataclass(frozen=True)
class Recipe:
    """A whole run.

    Attributes:
        name: of the run.
        seed: of everything drawn.
        threads: of torch; stored, and set again on resume, since bits depend on it.
        rounds: how often the loop is gone round, from the newest policy with all the feedback.
        tracker: `tensorboard` logs there too.
        checkpoint_every: steps between checkpoints.
        data: where prompts come from.
        model: what is begun with.
        sft: supervised training.
        completions: what people are asked about.
        feedback: what is asked, and of whom.
        reward: the reward model.
        algorithm: `{name: ppo}` and its fields; the name is a file of `harken/algorithms`.
        align: reinforcement, or training on preferences, as the algorithm is.
        evaluation: the evaluation.
    """

    name: str = "run"
    seed: int = 0
    threads: int = 2
    rounds: int = 1
    tracker: Literal["none", "tensorboard"] = "none"
    checkpoint_every: int = 50
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    sft: SftConfig = field(default_factory=SftConfig)
    completions: CompletionsConfig = field(default_factory=CompletionsConfig)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    algorithm: Mapping[str, Any] = field(default_factory=lambda: {"name": DEFAULT_ALGORITHM})
    align: AlignConfig = field(default_factory=AlignConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def made_algorithm(self) -> RLAlgorithm | PreferenceObjective:
        """The method that `algorithm` names."""
        return make_algorithm(self.algorithm)


def make_algorithm(settings: Mapping[str, Any]) -> RLAlgorithm | PreferenceObjective:
    """A method from `{name: ppo, clip: 0.1}`: one of reinforcement, or one that learns from preferences directly.

    Raises:
        RecipeError: if there is no such method, or it has no such field.
    """
    known = rl_algorithms() | preference_objectives()
    name = str(settings.get("name"))
    if name not in known:
        near = difflib.get_close_matches(name, list(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        raise RecipeError(f"algorithm.name: there is no {name!r}; {hint}")
    algorithm: RLAlgorithm | PreferenceObjective = validate(
        known[name], {k: v for k, v in settings.items() if k != "name"}, "algorithm"
    )
    return algorithm


def rl_algorithms() -> dict[str, type]:
    """The reinforcement methods of the house by name: the files of `algorithms/` whose class has `advantages`."""
    return _algorithms_with("advantages")


def preference_objectives() -> dict[str, type]:
    """The methods that learn from preferences directly, by name: the files whose class says what it `learns` from."""
    return _algorithms_with("learns")


def _algorithms_with(attribute: str) -> dict[str, type]:
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(harken.algorithms.__path__):
        if module.name == "objective":
            continue
        loaded = importlib.import_module(f"harken.algorithms.{module.name}")
        for value in vars(loaded).values():
            here = isinstance(value, type) and value.__module__ == loaded.__name__
            if here and dataclasses.is_dataclass(value) and attribute in vars(value):
                found[module.name] = cast(type, value)
    return found


def validate(kind: type, value: Any, where: str) -> Any:
    """Check plain data against a dataclass.

    Raises:
        RecipeError: naming each field that is wrong, and for an unknown one the nearest known.
    """
    _refuse_unknown(kind, value, where)
    try:
        return TypeAdapter(kind).validate_python(value, strict=False)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            place = ".".join([where, *map(str, problem["loc"])]).strip(".")
            lines.append(f"{place}: {problem['msg']} (it is {problem['input']!r})")
        raise RecipeError("; ".join(lines)) from error


def _dataclass_of(annotation: Any) -> type | None:
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next((option for option in options if isinstance(option, type) and dataclasses.is_dataclass(option)), None)


def _refuse_unknown(kind: type, value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        return
    known = {entry.name: _dataclass_of(entry.type) for entry in dataclasses.fields(kind)}
    for key, inner in value.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise RecipeError(f"{'.'.join([where, str(key)]).strip('.')}: there is no such key; {hint}")
        inner_kind = known[key]
        if inner_kind is not None:
            _refuse_unknown(inner_kind, inner, f"{where}.{key}".strip("."))


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, `above` winning key by key."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def override(text: str) -> dict[str, Any]:
    """`a.b=value` as nested mappings; the value is read as YAML.

    Raises:
        RecipeError: if there is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RecipeError(f"{text!r} is no override; write key=value, such as algorithm.clip=0.1")
    try:
        out: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"{text!r}: the value is no YAML: {error}") from error
    for name in reversed(key.split(".")):
        out = {name: out}
    return out


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe's file with overrides put over it.

    Raises:
        RecipeError: if the file is missing, is no YAML mapping, or holds what no stage knows.
    """
    if not path.is_file():
        raise RecipeError(f"there is no recipe {path}")
    try:
        plain = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is no YAML: {error}") from error
    if not isinstance(plain, Mapping):
        raise RecipeError(f"{path}: a recipe is a mapping of keys, not {type(plain).__name__}")
    for text in overrides:
        plain = merge(plain, override(text))
    if "algorithm" in plain and isinstance(plain["algorithm"], Mapping):
        # `algorithm.clip=0.1` alone is about the default algorithm.
        plain = merge({"algorithm": {"name": DEFAULT_ALGORITHM}}, plain)
    recipe: Recipe = validate(Recipe, plain, "")
    recipe.made_algorithm()
    return recipe


def resolved(recipe: Recipe) -> dict[str, Any]:
    """All settings, defaults and the algorithm's fields included, as plain data."""
    plain = dataclasses.asdict(recipe)
    algorithm = recipe.made_algorithm()
    assert dataclasses.is_dataclass(algorithm) and not isinstance(algorithm, type)
    plain["algorithm"] = {"name": recipe.algorithm["name"], **dataclasses.asdict(algorithm)}
    return plain
