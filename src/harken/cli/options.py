"""What verbs that run a recipe take. Nothing here loads torch, so that `--help` is there at once."""

from importlib import import_module
from typing import Any

import typer
from rich.console import Console

console = Console()
errors = Console(stderr=True)

RECIPE = typer.Argument(..., help="The recipe, such as recipes/demo.yaml")
OUT = typer.Option(None, "--out", help="The run's folder; runs/NAME if not said.", show_default=False)
RESUME = typer.Option(False, "--resume", help="Go on with what the folder holds; begins if it is empty.")
SKIP_BAD = typer.Option(False, "--skip-bad", help="Leave bad records of data.prompts out; counts and lists them.")
OVERRIDES = typer.Argument(
    None,
    metavar="[KEY=VALUE]...",
    help="Override any key of the recipe, such as algorithm.clip=0.1",
    show_default=False,
)


def working(name: str) -> Any:
    """A file of this room that loads torch: it is loaded when a verb begins, as verbs are."""
    return import_module(f"harken.cli.{name}")


def session() -> Any:
    """What runs recipes (`cli/session.py`)."""
    return working("session")
