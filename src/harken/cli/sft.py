"""`harken sft`: The supervised stage of a recipe."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, go, with_flags
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(help="Supervised training on demonstrations: RUN/sft.")
def sft(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
    skip_bad: bool = SKIP_BAD,
) -> None:
    """The supervised stage of a recipe."""
    run = go(lambda: read_recipe(recipe, with_flags(overrides, skip_bad)), out, resume, "sft")
    console.print(f"supervised model: {run.folder / 'sft'}", highlight=False)
