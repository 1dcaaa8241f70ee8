"""`harken run`: the whole loop from a recipe."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, go, with_flags
from harken.cli.table import print_results
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(
    help="The whole loop from a recipe: sft, collect, reward, align, evaluate, report; what is there already is kept."
)
def run(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
    skip_bad: bool = SKIP_BAD,
) -> None:
    """The whole loop from a recipe."""
    done = go(lambda: read_recipe(recipe, with_flags(overrides, skip_bad)), out, resume)
    print_results(console, done.folder)
