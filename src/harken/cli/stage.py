"""A verb that runs one kind of stage of a recipe."""

from pathlib import Path

import typer

from harken.cli.options import OUT, OVERRIDES, RECIPE, RESUME, SKIP_BAD, console, session


def stage_app(verb: str, explained: str, leaves: tuple[str, str]) -> typer.Typer:
    """The verb's application.

    Args:
        verb: of the stages.
        explained: for `--help`.
        leaves: what is there afterwards: in words, and its name in the run's folder.
    """
    app = typer.Typer(add_completion=False)

    @app.command(help=explained)
    def run_stages(
        recipe: Path = RECIPE,
        overrides: list[str] = OVERRIDES,
        out: Path = OUT,
        resume: bool = RESUME,
        skip_bad: bool = SKIP_BAD,
    ) -> None:
        run = session().go_recipe(recipe, overrides, out, resume, skip_bad, verb)
        console.print(f"{leaves[0]}: {run.folder / leaves[1]}", highlight=False)

    return app
