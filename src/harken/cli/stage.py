"""A verb that runs a recipe, or one kind of its stages."""

from collections.abc import Callable
from pathlib import Path

import typer

from harken.cli.options import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, session


def recipe_app(verb: str | None, explained: str, tell: Callable[[Path], None]) -> typer.Typer:
    """The verb's application.

    Args:
        verb: of the stages; the whole loop if None.
        explained: for `--help`.
        tell: says what is there afterwards, given the run's folder.
    """
    app = typer.Typer(add_completion=False)

    @app.command(help=explained)
    def run_recipe(
        recipe: Path = RECIPE,
        overrides: list[str] | None = OVERRIDES,
        out: Path | None = OUT,
        resume: bool = RESUME,
        skip_bad: bool = SKIP_BAD,
    ) -> None:
        tell(session().go_recipe(recipe, overrides, out, resume, skip_bad, verb).folder)

    return app


def stage_app(verb: str, explained: str, leaves: tuple[str, str]) -> typer.Typer:
    """The application of one kind of stages; `leaves` is in words what is there afterwards, and its name in the run."""

    def tell(folder: Path) -> None:
        console.print(f"{leaves[0]}: {folder / leaves[1]}", highlight=False)

    return recipe_app(verb, explained, tell)
