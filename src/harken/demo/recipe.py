"""The demo's recipe: `recipes/demo.yaml`, and the same at a tenth of the work."""

from collections.abc import Sequence
from pathlib import Path

from harken.pipeline.recipe import Recipe, RecipeError, read_recipe

QUICK = (
    "data.demonstrations=600",
    "data.ask=160",
    "data.held_out=40",
    "sft.data.steps=40",
    "completions.prompts=60",
    "feedback.comparisons=90",
    "feedback.ratings=30",
    "feedback.edits=10",
    "reward.steps=20",
    "align.rollout.iterations=4",
    "evaluation.resamples=1000",
)
ASKED = ("feedback.comparisons=30", "feedback.ratings=10", "feedback.edits=3")
"""What a person is asked at most; `q` ends it sooner."""


def recipe_file(name: str) -> Path:
    """One of the house's own recipes: beside the sources, or in the installed package.

    Raises:
        RecipeError: if it lies in neither place.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "recipes", package.parents[1] / "recipes"):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    raise RecipeError(f"recipes/{name}.yaml is not there; install harken again")


def demo_recipe(seed: int, quick: bool, annotator: str, overrides: Sequence[str]) -> Recipe:
    """The demo's recipe with what was said on the command line.

    Args:
        seed: of everything drawn.
        quick: a tenth of the work.
        annotator: `simulated` or `me`.
        overrides: `key=value`, over all else.

    Raises:
        RecipeError: if an override names what is not there.
    """
    first = [f"seed={seed}", f"feedback.annotator={annotator}"]
    asked = ASKED if annotator == "me" else ()
    return read_recipe(recipe_file("demo"), [*first, *(QUICK if quick else ()), *asked, *overrides])
