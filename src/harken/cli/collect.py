"""`harken collect`: Completions of the policy, and feedback on them."""

from pathlib import Path

import typer

from harken.cli.session import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, go, with_flags
from harken.pipeline.recipe import read_recipe

app = typer.Typer(add_completion=False)


@app.command(
    help="Have the policy answer, and ask people about its answers: RUN/feedback.db. feedback.annotator=me asks you."
)
def collect(
    recipe: Path = RECIPE,
    overrides: list[str] = OVERRIDES,
    out: Path = OUT,
    resume: bool = RESUME,
    skip_bad: bool = SKIP_BAD,
) -> None:
    """Completions of the policy, and feedback on them."""
    run = go(lambda: read_recipe(recipe, with_flags(overrides, skip_bad)), out, resume, "collect")
    console.print(f"feedback: {run.folder / 'feedback.db'}", highlight=False)
