"""`harken report`: The report of a recipe."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, go, with_flags
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(help="Write RUN/report.html: curves, answers side by side, feedback, settings.")
def report(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
    skip_bad: bool = SKIP_BAD,
) -> None:
    """The report of a recipe."""
    run = go(lambda: read_recipe(recipe, with_flags(overrides, skip_bad)), out, resume, "report")
    console.print(f"report: {run.folder / 'report.html'}", highlight=False)
