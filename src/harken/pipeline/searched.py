"""What a search of settings is over: its keys are checked, and what it would measure is the same in every trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harken.pipeline.recipe import Recipe, RecipeError, make_recipe, preference_objectives, resolved, with_settings
from harken.pipeline.run import Stage
from harken.pipeline.space import Choice, Range, Space
from harken.pipeline.stages import stages

TARGETS = {"sft": "sft", "reward": "rounds/1/reward", "align": "rounds/1/aligned"}
LOOKS = 10
"""How often a trial is measured, where the recipe does not say it."""
WIDER = 8
"""How many times smaller and larger a rate may be than the recipe's, where no space is said."""
OF_THE_RUN = ("name", "seed", "threads", "rounds", "tracker", "checkpoint_every", "tune")
YARDSTICKS = {
    "sft": ("data", "sft.stopping", "model.path"),
    "reward": (
        *("data", "completions.held_out", "reward.stopping"),
        *("reward.weights", "reward.criterion", "reward.split", "reward.shrink"),
    ),
    "align": ("data", "completions.held_out", "align.stopping", "align.rollout.mix"),
}
"""Keys that would change what is measured, and not how good it is."""
BY_NAME = ("model.encoders", "model.heads", "reward.model.family.encoders", "reward.model.family.heads")
"""Parts by names of the user's: where one is named, those that are not named are gone."""


@dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
        plain: the recipe as the user said it, with measures where it had none.
        recipe: the same, checked.
        spaces: what is searched, by key.
        notices: what a reader of the results must know.
    """

    plain: Mapping[str, Any]
    recipe: Recipe
    spaces: Mapping[str, Space]
    notices: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """The name of the stage whose measure decides."""
        return TARGETS[self.recipe.tune.stage]

    @property
    def measure(self) -> str:
        """What is measured, in words; larger is better."""
        return _measure(self.recipe)

    def with_values(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The recipe as plain data with one trial's settings."""
        return with_settings(self.plain, values)

    def own(self) -> dict[str, Any]:
        """The recipe's own values, of the keys whose spaces hold them."""
        mine = {key: value_at(resolved(self.recipe), key) for key in self.spaces}
        return {key: value for key, value in mine.items() if self.spaces[key].holds(value)}

    def needed(self, recipe: Recipe) -> list[Stage]:
        """The stages up to the one that is measured, in order."""
        return _needed(recipe, self.stage)


def make_search(plain: Mapping[str, Any]) -> Search:
    """A search from a recipe's plain data.

    Raises:
        RecipeError: if a key is not there, changes nothing or changes what is measured, or a value of its space is
            refused.
    """
    recipe = make_recipe(plain)
    stage = recipe.tune.stage
    _refuse_what_cannot_be_searched(recipe)
    spaces = recipe.tune.spaces() or default_spaces(recipe)
    plain = _with_neighbours(plain, recipe, spaces)
    if not _training(recipe)["stopping"]["every"]:
        plain = with_settings(plain, {f"{stage}.stopping.every": max(1, _steps(recipe) // LOOKS)})
    recipe = make_recipe(plain)
    earlier: dict[str, list[str]] = {}
    for key, space in spaces.items():
        _refuse_yardsticks(key, recipe)
        touched = _touched(plain, recipe, key, space)
        for name in touched:
            earlier.setdefault(name, []).append(key)
    earlier.pop(TARGETS[stage], None)
    notices = []
    if earlier:
        keys = sorted({key for found in earlier.values() for key in found})
        notices.append(
            f"{', '.join(keys)} also change {', '.join(earlier)}, which every trial therefore runs for itself: what "
            f"{stage} is measured on differs from trial to trial, so small differences say little."
        )
    return Search(plain, recipe, spaces, tuple(notices))


def default_spaces(recipe: Recipe) -> dict[str, Space]:
    """Rates, batch and warm-up of the stage, around the recipe's own."""
    stage, training = recipe.tune.stage, _training(recipe)
    out: dict[str, Space] = {}
    for name in ("rate", "muon_rate"):
        own = training["optimizer"][name]
        if own > 0:
            out[f"{stage}.optimizer.{name}"] = Range(own / WIDER, own * WIDER, log=True)
    batch = {"sft": "sft.data.batch", "reward": "reward.batch"}.get(stage)
    if stage == "align":
        batch = "align.preferences.batch" if recipe.algorithm["name"] in preference_objectives() else None
    if batch is not None:
        own = value_at(resolved(recipe), batch)
        out[batch] = Range(max(1, own // 2), own * 2)
    warm = _steps(recipe) // 5
    if warm > 0:
        out[f"{stage}.optimizer.warmup"] = Range(0, warm)
    return out


def value_at(plain: Mapping[str, Any], key: str) -> Any:
    """A recipe's value by its key; None where there is none."""
    found: Any = plain
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _training(recipe: Recipe) -> dict[str, Any]:
    training: dict[str, Any] = resolved(recipe)[recipe.tune.stage]
    return training


def _steps(recipe: Recipe) -> int:
    """Optimizer steps of the stage."""
    match recipe.tune.stage:
        case "sft":
            return recipe.sft.data.steps
        case "reward":
            return recipe.reward.steps
    if recipe.algorithm["name"] in preference_objectives():
        return recipe.align.preferences.steps
    rollout, epochs = recipe.align.rollout, int(resolved(recipe)["algorithm"].get("epochs", 1))
    return rollout.iterations * rollout.minibatches * epochs


def _measure(recipe: Recipe) -> str:
    match recipe.tune.stage:
        case "sft":
            if recipe.model.path is None and recipe.model.family.resolve().language is None:
                return "minus the heads' loss on held-out examples"
            return "log-likelihood of held-out demonstrations, nats a token"
        case "reward":
            return "log-likelihood of held-out answers, nats a statement"
    if recipe.algorithm["name"] in preference_objectives():
        return "likelihood of held-out preferences (minus the objective's loss)"
    return "mean reward on held-out prompts"


def _refuse_what_cannot_be_searched(recipe: Recipe) -> None:
    if recipe.tune.stage == "reward" and recipe.reward.model.head == "linear":
        raise RecipeError("reward.model.head=linear is solved and not trained, so there is nothing to search in steps")
    if recipe.tune.stage != "sft" and recipe.feedback.annotator == "me":
        raise RecipeError(
            "feedback.annotator=me would ask at the terminal before any trial; collect first (harken collect), then "
            "say feedback.annotator=file feedback.answers=RUN/rounds/1/feedback.jsonl"
        )


def _under(key: str, part: str) -> bool:
    return key == part or key.startswith(f"{part}.")


def _refuse_yardsticks(key: str, recipe: Recipe) -> None:
    stage = recipe.tune.stage
    if any(_under(key, part) for part in OF_THE_RUN):
        raise RecipeError(f"--over {key}: that is of the run and not of a model; leave it out, or fix it: {key}=VALUE")
    own_loss = stage == "align" and recipe.algorithm["name"] in preference_objectives() and _under(key, "algorithm")
    words = stage == "sft" and _under(key, "model.heads") and key.endswith(".vocabulary")
    if own_loss or words or any(_under(key, part) for part in YARDSTICKS[stage]):
        raise RecipeError(
            f"--over {key}: that changes what is measured ({_measure(recipe)}), so trials could not be compared; leave "
            f"it out, or fix it: {key}=VALUE"
        )


def _with_neighbours(plain: Mapping[str, Any], recipe: Recipe, spaces: Mapping[str, Space]) -> Mapping[str, Any]:
    """A recipe that also says the parts beside those whose settings are searched, which would be gone otherwise."""
    whole = resolved(recipe)
    for part in BY_NAME:
        if any(_under(key, part) for key in spaces) and value_at(plain, part) is None:
            plain = with_settings(plain, {part: value_at(whole, part)})
    return plain


def _touched(plain: Mapping[str, Any], recipe: Recipe, key: str, space: Space) -> list[str]:
    """Check a key by values of its space, and find the stages that it changes.

    Raises:
        RecipeError: if it is not there, a value is refused, or it changes no stage up to the one that is measured.
    """
    stage = recipe.tune.stage
    before = {made.name: made.settings for made in _needed(recipe, TARGETS[stage])}
    touched: dict[str, None] = {}
    for value in space.probes():
        try:
            after = _needed(make_recipe(with_settings(plain, {key: value})), TARGETS[stage])
        except ValueError as error:
            raise RecipeError(f"--over {key}={space}: {error}") from error
        touched |= {made.name: None for made in after if before.get(made.name) != made.settings}
    if not touched:
        stages_named = " or ".join(name for name in TARGETS if name != stage)
        raise RecipeError(
            f"--over {key}: nothing that {stage} is made of depends on it; leave it out, or search another stage: "
            f"--stage {stages_named}"
        )
    if isinstance(space, Choice) and key == "algorithm.name":
        kinds = {value in preference_objectives() for value in space.probes()}
        if len(kinds) > 1:
            raise RecipeError(f"--over {key}={space}: some of these learn from rollouts and some do not; search apart")
    return list(touched)


def _needed(recipe: Recipe, target: str) -> list[Stage]:
    made = {stage.name: stage for stage in stages(recipe)}
    wanted, waiting = set(), [target]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += made[name].inputs
    return [stage for stage in made.values() if stage.name in wanted]
