"""`harken evaluate`: The evaluation of a recipe."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, go, with_flags
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(help="Compare the aligned model with the supervised one on held-out prompts: RUN/evaluation.json.")
def evaluate(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
    skip_bad: bool = SKIP_BAD,
) -> None:
    """The evaluation of a recipe."""
    run = go(lambda: read_recipe(recipe, with_flags(overrides, skip_bad)), out, resume, "evaluate")
    console.print(f"evaluation: {run.folder / 'evaluation.json'}", highlight=False)
