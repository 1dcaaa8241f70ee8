"""What a search leaves to read: the trials as a table, the best recipe, and one page with drawings."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harken.evaluate import report as page
from harken.evaluate.plots import Bar, bars
from harken.evaluate.trials_plot import Dot, Setting, progress, slices
from harken.pipeline.artefact import write_text
from harken.pipeline.recipe import resolved
from harken.pipeline.searched import Search, value_at
from harken.pipeline.space import Choice, Range
from harken.pipeline.study import Trial, best_of

LISTED = 40
"""Trials in the page's table; tune.csv has all."""


def write_tables(folder: Path, search: Search, trials: list[Trial], cut_off: int) -> None:
    """Write tune.json, tune.csv, and best.yaml where a trial came to its end."""
    best = best_of(trials)
    found = {
        "stage": search.recipe.tune.stage,
        "measure": search.measure,
        "over": {key: str(space) for key, space in search.spaces.items()},
        "asked": search.recipe.tune.trials,
        "cut_off": cut_off,
        "best": None if best is None else _plain(best),
        "trials": [_plain(trial) for trial in trials],
    }
    write_text(folder / "tune.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["trial", "state", "measure", "steps", "seconds", *search.spaces, "reason"])
    for trial in trials:
        settings = [trial.settings[key] for key in search.spaces]
        measured = [trial.number, trial.state, trial.measure, _steps(trial), f"{trial.seconds:.3f}"]
        table.writerow([*measured, *settings, trial.reason])
    write_text(folder / "tune.csv", out.getvalue())
    if best is not None:
        write_text(folder / "best.yaml", best_recipe(search, best, len(trials)))


def best_recipe(search: Search, best: Trial, trials: int) -> str:
    """The recipe with the best settings, as a file; the search's own part is left out."""
    plain = {key: value for key, value in search.with_values(best.settings).items() if key != "tune"}
    said = "".join(f"#   {key}: {_shown(value)}\n" for key, value in best.settings.items())
    return (
        f"# The best of {trials} trials (trial {best.number}): {best.measure:.6g}, {search.measure}.\n# Found:\n{said}"
        + yaml.safe_dump(page.plain(plain), sort_keys=False, allow_unicode=True)
    )


def write_page(
    folder: Path, search: Search, trials: list[Trial], importance: Mapping[str, float], notices: tuple[str, ...]
) -> None:
    """Write tune.html."""
    best = best_of(trials)
    early = sum(trial.state == "pruned" for trial in trials)
    cards = [page.Headline("Trials", f"{len(trials)}", f"{early} of them ended early")]
    if best is not None:
        cards.insert(0, page.Headline("Best measure", f"{best.measure:.4f}", f"trial {best.number}"))
        own = search.own()
        first = next((trial for trial in trials if trial.number == 0), None)
        if first is not None and first.measure is not None and own.keys() == search.spaces.keys():
            cards.insert(1, page.Headline("The recipe as it was", f"{first.measure:.4f}", "trial 0"))
    stage = search.recipe.tune.stage
    report = page.Report(
        title=f"Search of {search.recipe.name}: {stage}",
        subtitle=f"Decided by the {search.measure}; larger is better. {best_words(best, search)}",
        notice=" ".join(notices),
        headlines=tuple(cards),
        tables=tuple(_tables(search, trials, best)),
        sections=tuple(_sections(search, trials, importance)),
        settings=resolved(search.recipe),
        kind="search of settings",
    )
    page.write_report(folder / "tune.html", report)


def best_words(best: Trial | None, search: Search) -> str:
    """What to do with the best settings."""
    if best is None:
        return "No trial came to its end yet."
    return (
        "best.yaml is the recipe with the best settings. The best of many trials looks a little better than it is, "
        "since it was chosen by this very measure: have the evaluation of a whole run say what it is worth."
    )


def _tables(search: Search, trials: list[Trial], best: Trial | None) -> list[page.Table]:
    out = []
    if best is not None:
        before = resolved(search.recipe)
        found = tuple(
            (key, str(space), _shown(value_at(before, key)), _shown(best.settings[key]))
            for key, space in search.spaces.items()
        )
        out.append(page.Table(("setting", "searched", "recipe", "best"), found, "The best settings"))
    order = sorted(trials, key=lambda t: (t.state != "complete", -(t.measure if t.measure is not None else -1e300)))
    rows = tuple(
        (
            str(trial.number),
            "-" if trial.measure is None else f"{trial.measure:.4f}",
            "to the end" if trial.state == "complete" else f"early: {trial.reason}",
            page.duration(trial.seconds),
            *(_shown(trial.settings[key]) for key in search.spaces),
        )
        for trial in order[:LISTED]
    )
    left = f"; the best {LISTED} of {len(order)}, tune.csv has all" if len(order) > LISTED else ""
    header = ("trial", "measure", "trained", "time", *(short_names(list(search.spaces)).values()))
    return [*out, page.Table(header, rows, f"Trials, the best first{left}")]


def _sections(search: Search, trials: list[Trial], importance: Mapping[str, float]) -> list[page.Section]:
    measured = [trial for trial in trials if trial.measure is not None]
    if not measured:
        return []
    short = short_names(list(search.spaces))
    dots = [Dot(t.measure or 0.0, t.state == "complete", tuple(t.looks.items())) for t in measured]
    plots = []
    if importance:
        rows = sorted(importance.items(), key=lambda pair: -pair[1])
        svg = bars({"": [Bar(short[key], value) for key, value in rows]}, "What mattered", "share", (0, 1))
        complete = sum(dot.complete for dot in dots)
        caption = (
            "How much each setting alone decides whether a trial is among the best quarter (PED-ANOVA, 2304.10255), as "
            f"shares of 1. From {complete} trials that came to their end: with few trials it is a hint, no more."
        )
        plots.append(page.Plot("What mattered", svg, caption))
    settings = [_setting(key, short[key], search, measured) for key in search.spaces]
    caption = (
        "Each dot is a trial; in every panel the other settings vary too. Trials that ended early were measured early."
    )
    plots.append(page.Plot("Settings", slices(dots, settings, "Settings", "measure"), caption))
    went = progress(dots, "Trials along training", "measure") if any(dot.looks for dot in dots) else ""
    caption = (
        "The measure along each trial's training; those that ended early stop where others were better. What lies far "
        "below the others is cut off."
    )
    more = (page.Section("The search", (page.Plot("Along training", went, caption),)),) if went else ()
    return [page.Section("What mattered", tuple(plots)), *more]


def _setting(key: str, name: str, search: Search, trials: list[Trial]) -> Setting:
    space, values = search.spaces[key], [trial.settings[key] for trial in trials]
    if isinstance(space, Choice):
        labels = {label: _shown(space.value(label)) for label in space.labels}
        return Setting(name, tuple(_shown(value) for value in values), names=tuple(labels.values()))
    assert isinstance(space, Range)
    return Setting(name, tuple(float(value) for value in values), log=space.log)


def short_names(keys: list[str]) -> dict[str, str]:
    """The last words of each key that tell it from the others."""
    out = {}
    for key in keys:
        words = key.split(".")
        ends = [".".join(words[start:]) for start in range(len(words) - 1, -1, -1)]
        others = [other for other in keys if other != key]
        out[key] = next((end for end in ends if not any(o == end or o.endswith(f".{end}") for o in others)), key)
    return out


def _plain(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "measure": trial.measure,
        "settings": dict(trial.settings),
        "looks": {str(step): measure for step, measure in trial.looks.items()},
        "seconds": round(trial.seconds, 3),
        "reason": trial.reason,
    }


def _steps(trial: Trial) -> int:
    return max(trial.looks, default=0)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
