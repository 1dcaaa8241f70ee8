"""`harken align`: The reinforcement stage of a recipe."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, console, go
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(help="Move the policy towards the reward: RUN/aligned. algorithm.name=grpo chooses another method.")
def align(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
) -> None:
    """The reinforcement stage of a recipe."""
    run = go(lambda: read_recipe(recipe, overrides or []), out, resume, "align")
    console.print(f"aligned model: {run.folder / 'aligned'}", highlight=False)
