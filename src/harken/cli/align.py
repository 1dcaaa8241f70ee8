"""`harken align`: The reinforcement stage of a recipe."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, go, with_flags
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(help="Move the policy towards the reward: RUN/aligned. algorithm.name=grpo chooses another method.")
def align(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
    skip_bad: bool = SKIP_BAD,
) -> None:
    """The reinforcement stage of a recipe."""
    run = go(lambda: read_recipe(recipe, with_flags(overrides, skip_bad)), out, resume, "align")
    console.print(f"aligned model: {run.folder / 'aligned'}", highlight=False)
