"""What `harken tune` does once it is called: read the recipe, search, and say what was found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from harken.cli.options import console
from harken.cli.progress import Bars
from harken.cli.session import Stop, doors
from harken.demo.world import make_world
from harken.pipeline.recipe import RecipeError, read_plain, resolved
from harken.pipeline.searched import Search, make_search, value_at
from harken.pipeline.space import FORMS
from harken.pipeline.study import Trial, best_of
from harken.pipeline.tune import Tuning, shown

AGAIN = "say the same again to go on"


def search(path: Path, overrides: Sequence[str], over: Sequence[str], out: Path | None) -> None:
    """Search a recipe's settings.

    Args:
        path: the recipe.
        overrides: `key=value`, of settings that are the same in all trials.
        over: `KEY=SPACE`; these are all that is searched, where there are any.
        out: the search's folder.
    """
    stop = Stop()
    with doors(stop, AGAIN):
        made = make_search(_with_spaces(read_plain(path, overrides), over))
        folder = out or Path("runs") / f"{made.recipe.name}-tune-{made.recipe.tune.stage}"
        for notice in made.notices:
            console.print(notice, style="yellow", highlight=False)
        with Bars(console) as bars:
            trials = Tuning(folder, made, make_world, bars, stop).run()
        _tell(made, folder, trials)


def _with_spaces(plain: Mapping[str, Any], over: Sequence[str]) -> Mapping[str, Any]:
    spaces = {}
    for text in over:
        key, equals, space = text.partition("=")
        if not equals or not key:
            raise RecipeError(f"--over {text}: write KEY=SPACE; {FORMS}")
        spaces[key] = space
    if not spaces:
        return plain
    # In place of the recipe's own, not laid over them: what is said here is all that is searched.
    return {**plain, "tune": {**(plain.get("tune") or {}), "over": spaces}}


def _tell(made: Search, folder: Path, trials: Sequence[Trial]) -> None:
    best = best_of(list(trials))
    assert best is not None and best.measure is not None, "a search without a best trial is an error"
    early = sum(trial.state == "pruned" for trial in trials)
    title = f"best of {len(trials)} trials ({early} ended early): {best.measure:.4f}, {made.measure}"
    table = Table(title=title, title_justify="left")
    for name in ("setting", "recipe", f"trial {best.number}"):
        table.add_column(name, overflow="fold")
    before = resolved(made.recipe)
    for key, value in best.settings.items():
        table.add_row(key, shown(value_at(before, key)), shown(value))
    console.print(table)
    console.print(f"recipe: {folder / 'best.yaml'}", highlight=False, soft_wrap=True)
    console.print(f"page: {(folder / 'tune.html').resolve()}", highlight=False, soft_wrap=True)
