"""`harken report`: The report of a recipe."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, console, go
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(help="Write RUN/report.html: curves, answers side by side, feedback, settings.")
def report(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
) -> None:
    """The report of a recipe."""
    run = go(lambda: read_recipe(recipe, overrides or []), out, resume, "report")
    console.print(f"report: {run.folder / 'report.html'}", highlight=False)
