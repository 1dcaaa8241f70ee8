"""`harken run`: the whole loop from a recipe."""

from pathlib import Path

import typer

from harken.cli.options import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, session
from harken.cli.table import print_results

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
    done = session().go_recipe(recipe, overrides, out, resume, skip_bad)
    print_results(console, done.folder)
