"""A run is a file: all settings, checked at the door; an unknown key is an error that names the nearest known."""

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import yaml

import harken.algorithms
from harken.algorithms.objective import PreferenceObjective, RLAlgorithm
from harken.data import settings as checked_settings
from harken.data.bounds import at_least
from harken.feedback.selection import BY_HEADS
from harken.pipeline.settings import (
    AlignConfig,
    CompletionsConfig,
    DataConfig,
    EvaluationConfig,
    FeedbackConfig,
    ModelConfig,
    RewardConfig,
    SftConfig,
    TuneConfig,
)

DEFAULT_ALGORITHM = "ppo"


class RecipeError(ValueError):
    """A recipe, or an override of it, cannot be read."""


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
        tune: the search of settings, for `harken tune`; other verbs do not read it.
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
    tune: TuneConfig = field(default_factory=TuneConfig)

    def __post_init__(self) -> None:
        at_least(self, "recipe", threads=1, rounds=1, checkpoint_every=1)
        policy, heads = self.feedback.select.policy, self.reward.model.heads
        if policy in BY_HEADS and heads < 2:
            raise ValueError(
                f"feedback.select.policy={policy} goes by how heads differ, and reward.model.heads is {heads}; "
                "say 2 or more"
            )
        rollout = self.align.rollout
        asks_harder = rollout.perturb is not None or rollout.attack is not None
        if asks_harder and self.algorithm.get("name") in preference_objectives():
            raise ValueError(
                f"align.rollout.perturb and attack change what is asked in rollouts, and {self.algorithm['name']} has "
                "none; leave them out, or choose an algorithm that samples, such as ppo"
            )

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
    said = {k: v for k, v in settings.items() if k != "name"}
    fields = [entry.name for entry in dataclasses.fields(known[name])]
    for key in said:
        if key not in fields and difflib.get_close_matches(key, [*fields, "name"], 1) == ["name"]:
            raise RecipeError(f"algorithm.{key}: there is no such key; did you mean 'name'?")
    algorithm: RLAlgorithm | PreferenceObjective = validate(
        known[name], over_defaults(known[name](), said), "algorithm"
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
    return checked_settings.validate(kind, value, where, RecipeError)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, `above` winning key by key."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def over_defaults(default: Any, said: Mapping[str, Any]) -> dict[str, Any]:
    """Settings laid over a dataclass's own, part by part: to name one key of a part leaves its neighbours alone.

    Where a part holds parts by names of the user's (a model's encoders), those that are named are all there are.
    """
    out = dict(said)
    for entry in dataclasses.fields(default):
        part, mine = getattr(default, entry.name), said.get(entry.name)
        if not isinstance(mine, Mapping):
            continue
        if isinstance(part, Mapping):
            if not any(isinstance(inner, Mapping) for inner in part.values()):
                out[entry.name] = {**part, **mine}
        elif dataclasses.is_dataclass(part):
            kept = {inner.name: getattr(part, inner.name) for inner in dataclasses.fields(part)}
            out[entry.name] = {**kept, **over_defaults(part, mine)}
    return out


def _for_algorithm(plain: Mapping[str, Any], key: str, value: Any) -> Mapping[str, Any]:
    """A recipe without the fields of its algorithm, where an override names another one."""
    settings = plain.get("algorithm")
    other = isinstance(settings, Mapping) and settings.get("name", DEFAULT_ALGORITHM) != value
    return {**plain, "algorithm": {}} if key == "algorithm.name" and other else plain


def override(text: str) -> dict[str, Any]:
    """`a.b=value` as nested mappings; the value is read as YAML.

    Raises:
        RecipeError: if there is no `=`.
    """
    return _nested(*_said(text))


def _said(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RecipeError(f"{text!r} is no override; write key=value, such as algorithm.clip=0.1")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"{text!r}: the value is no YAML: {error}") from error


def _nested(key: str, value: Any) -> dict[str, Any]:
    for name in reversed(key.split(".")):
        value = {name: value}
    nested: dict[str, Any] = value
    return nested


def with_settings(plain: Mapping[str, Any], settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recipe as plain data with values by key put over it; another algorithm takes the fields of the old one away.

    So does another part of a model: `model.fuse.name=gated`. Of what has names of the user's own (a model's encoders
    and heads, the radii of an attack), and within it, null takes away what a recipe says: `model.heads.size=null`.

    Raises:
        RecipeError: if there is nothing to take away.
    """
    for key in sorted(settings, key=lambda key: key != "algorithm.name"):
        value = settings[key]
        if value is None and _is_named_by_users(key):
            plain = _without(plain, key.split("."), key)
        else:
            said = _nested(key, value)
            below = _for_algorithm(plain, key, value)
            plain = merge({**below, "model": _for_parts(below.get("model"), said.get("model"))}, said)
            plain = {name: part for name, part in plain.items() if name != "model" or part is not None}
    return plain


def _for_parts(below: Any, above: Any) -> Any:
    """A model's settings without those of a part that is another one in what is put over it."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return below
    if {"name"} <= set(below) & set(above) and below["name"] != above["name"]:
        return {}
    return {name: _for_parts(part, above.get(name)) for name, part in below.items()}


def _is_named_by_users(key: str) -> bool:
    """Whether a key stands in a mapping of free names, at whatever depth, and in no part with fields of its own."""
    kind: type | None = Recipe
    for name in key.split(".")[:-1]:
        types = {entry.name: entry.type for entry in dataclasses.fields(kind)} if kind is not None else {}
        if name not in types:
            return False  # a key that is none is refused when the recipe is made
        kind = checked_settings.dataclass_of(types[name])
        if kind is None:
            return Mapping in {get_origin(one) for one in (types[name], *get_args(types[name]))}
    return False


def _without(plain: Mapping[str, Any], path: Sequence[str], key: str) -> dict[str, Any]:
    first, *rest = path
    if first not in plain:
        near = difflib.get_close_matches(first, list(plain), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it says {', '.join(plain) or 'nothing'} there"
        raise RecipeError(f"{key}=null: the recipe does not say it, so there is nothing to take away; {hint}")
    if not rest:
        return {name: value for name, value in plain.items() if name != first}
    inner = plain[first]
    return {**plain, first: _without(inner if isinstance(inner, Mapping) else {}, rest, key)}


def read_plain(path: Path, overrides: Sequence[str] = ()) -> Mapping[str, Any]:
    """A recipe's file with overrides put over it, as plain data that nobody has checked.

    Raises:
        RecipeError: if the file is missing or is no YAML mapping, or an override is none.
    """
    if not path.is_file():
        raise RecipeError(f"there is no recipe {path}")
    try:
        plain = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is no YAML: {error}") from error
    if not isinstance(plain, Mapping):
        raise RecipeError(f"{path}: a recipe is a mapping of keys, not {type(plain).__name__}")
    for text in sorted(overrides, key=lambda text: not text.startswith("algorithm.name=")):
        plain = with_settings(plain, dict([_said(text)]))
    return plain


def make_recipe(plain: Mapping[str, Any]) -> Recipe:
    """A recipe from plain data, checked.

    Raises:
        RecipeError: if it holds what no stage knows.
    """
    recipe: Recipe = validate(Recipe, over_defaults(Recipe(), plain), "")
    recipe.made_algorithm()
    return recipe


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe's file with overrides put over it.

    Raises:
        RecipeError: if the file is missing, is no YAML mapping, or holds what no stage knows.
    """
    return make_recipe(read_plain(path, overrides))


def resolved(recipe: Recipe) -> dict[str, Any]:
    """All settings, defaults and the algorithm's fields included, as plain data."""
    plain = dataclasses.asdict(recipe)
    plain["model"] |= recipe.model.family.plain()
    plain["reward"]["model"]["family"] = recipe.reward.model.family.plain()
    algorithm = recipe.made_algorithm()
    assert dataclasses.is_dataclass(algorithm) and not isinstance(algorithm, type)
    plain["algorithm"] = {"name": recipe.algorithm["name"], **dataclasses.asdict(algorithm)}
    return plain
