"""`harken reward`: The reward model of a recipe."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, go, with_flags
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(help="Learn a reward model from all feedback: RUN/reward.")
def reward(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
    skip_bad: bool = SKIP_BAD,
) -> None:
    """The reward model of a recipe."""
    run = go(lambda: read_recipe(recipe, with_flags(overrides, skip_bad)), out, resume, "reward")
    console.print(f"reward model: {run.folder / 'reward'}", highlight=False)
