"""`harken tune`: a search of a recipe's settings by a stage's held-out measure."""

from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from harken.cli.options import OVERRIDES, RECIPE

app = typer.Typer(add_completion=False)
OVER = typer.Option(
    None,
    "--over",
    metavar="KEY=SPACE",
    help="A key of the recipe and the values to try: 1e-4..1e-2:log, 16..64 (whole numbers), 32|64|128 (quote it). "
    "Again for each key; without any, the recipe's tune.over, or rates, batch and warm-up around the recipe's own.",
    show_default=False,
)
STAGE = typer.Option(
    None,
    "--stage",
    help="Whose measure decides: sft (likelihood of held-out demonstrations; if not said), reward (likelihood of "
    "held-out answers), align (mean reward on held-out prompts).",
    show_default=False,
)
TRIALS = typer.Option(
    None, "--trials", help="How many in all, those of earlier calls counted; 20 if not said.", show_default=False
)
OUT = typer.Option(None, "--out", help="The search's folder; runs/NAME-tune-STAGE if not said.", show_default=False)


@app.command(
    help="Search a recipe's settings. Each trial trains one stage with other settings and is measured on what is held "
    "out; those that fall behind are ended early. Stages before it run once, for all.\n\n"
    "harken tune recipes/demo.yaml --over sft.optimizer.rate=1e-4..1e-2:log --over sft.data.batch=16..64\n\n"
    "harken tune recipes/demo.yaml --trials 30 --stage reward --over 'reward.model.heads=1|2|4' reward.steps=100\n\n"
    "Leaves FOLDER/best.yaml (harken run FOLDER/best.yaml), tune.html (what mattered), tune.csv, tune.json. Ctrl-C, or "
    "a kill: say the same again, and it goes on, to the same trials as if never stopped; more --trials search on. "
    "In the recipe, tune: {stage, over: {KEY: SPACE}, trials, startup, pruner: median|halving|none, seed}. "
    "Needs pip install 'harken\\[tune]'."
)
def tune(
    recipe: Path = RECIPE,
    overrides: list[str] | None = OVERRIDES,
    over: list[str] | None = OVER,
    stage: str | None = STAGE,
    trials: int | None = TRIALS,
    out: Path | None = OUT,
) -> None:
    """Hand on what was said."""
    flags = {"tune.stage": stage, "tune.trials": trials}
    said = [*(overrides or []), *(f"{key}={value}" for key, value in flags.items() if value is not None)]
    # It loads torch and Optuna, so it is loaded when the search begins.
    searching: Any = import_module("harken.cli.tuning")
    searching.search(recipe, said, over or [], out)
