"""Trials of a search: what each setting did, and how the search went."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harken.evaluate.plots import BLUE, GREY, ORANGE, draw, legend

COLUMNS, PANEL = 2, (3.4, 2.3)
"""Inches."""
ROOM = 0.08
"""Of the height, below and above the trials."""
CUT = 0.15
"""Share of the trials whose curves may begin below the drawing."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One trial.

    Attributes:
        measure: what it reached; larger is better.
        complete: whether it was trained to its end.
        looks: (steps, measure) along its training.
    """

    measure: float
    complete: bool
    looks: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting's value in every trial.

    Attributes:
        name: its key.
        values: one a trial, numbers or names.
        log: whether the axis is logarithmic.
        names: all names that there are, where the values are names.
    """

    name: str
    values: tuple[float | str, ...]
    log: bool = False
    names: tuple[str, ...] = ()


def slices(dots: Sequence[Dot], settings: Sequence[Setting], title: str, ylabel: str) -> str:
    """One panel a setting: the measure of every trial over the setting's value, the other settings as they were.

    Trials far below the others stand on the lower edge: triangles, and crosses for those that ended early, whose
    measure is that of an early step.

    Args:
        dots: at least one.
        settings: at least one, each with a value for every trial.
        title: the drawing's name for screen readers.
        ylabel: what is measured.

    Raises:
        ValueError: no trial, no setting, or a setting without a value for every trial.
    """
    if not dots or not settings:
        raise ValueError(f"plot {title!r}: at least one trial and one setting are needed")
    for one in settings:
        if len(one.values) != len(dots):
            raise ValueError(f"setting {one.name!r}: {len(one.values)} values for {len(dots)} trials")
    columns = min(COLUMNS, len(settings))
    rows = math.ceil(len(settings) / columns)
    low, high = _limits(dots)

    def paint(figure: Any) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        handles: dict[str, Any] = {}
        for axes, one in zip(grid.flat, settings, strict=False):
            handles |= _slice(axes, one, dots, low)
            axes.set_ylim(low, high)
        for axes in grid.flat[len(settings) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel(ylabel)
        legend(figure, handles)

    width, height = PANEL
    return draw(paint, title, height=0.4 + height * rows, width=max(5.0, width * columns))


def _slice(axes: Any, one: Setting, dots: Sequence[Dot], low: float) -> dict[str, Any]:
    x = np.array([one.names.index(str(value)) if one.names else value for value in one.values], dtype=float)
    y = np.array([dot.measure for dot in dots])
    complete = np.array([dot.complete for dot in dots])
    best = np.argmax(np.where(complete, y, -np.inf)) if complete.any() else None
    handles = {}
    kinds = (
        ("trained to the end", complete & (y >= low), BLUE, "o"),
        ("far below", complete & (y < low), BLUE, "v"),
        ("ended early", ~complete, GREY, "x"),
    )
    for name, mine, colour, marker in kinds:
        if mine.any():
            shown = np.maximum(y[mine], low)
            handles[name] = axes.scatter(x[mine], shown, s=24, color=colour, marker=marker, clip_on=False, linewidths=1)
    if best is not None:
        handles["best"] = axes.scatter(x[best], y[best], s=90, color=ORANGE, marker="*", zorder=3)
    axes.set_title(one.name, fontsize=10, loc="left")
    if one.log:
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
    if one.names:
        axes.set_xticks(range(len(one.names)), one.names)
        axes.set_xlim(-0.5, len(one.names) - 0.5)
    return handles


def progress(dots: Sequence[Dot], title: str, ylabel: str) -> str:
    """Every trial's measure along its training: grey where it was ended early, blue to the end, the best one orange.

    What lies far below where most begin is cut off.

    Args:
        dots: at least one with looks.
        title: the drawing's name for screen readers.
        ylabel: what is measured.

    Raises:
        ValueError: no trial was ever measured.
    """
    if not any(dot.looks for dot in dots):
        raise ValueError(f"plot {title!r}: no trial was measured")
    first = [dot.looks[0][1] for dot in dots if dot.complete and dot.looks]
    high = _limits(dots)[1]
    low = float(np.quantile(first or [look for dot in dots for _, look in dot.looks], CUT))
    best = max((dot for dot in dots if dot.complete), key=lambda dot: dot.measure, default=None)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        handles: dict[str, Any] = {}
        for dot in sorted(dots, key=lambda dot: (dot is best, dot.complete)):
            name = "best" if dot is best else "trained to the end" if dot.complete else "ended early"
            colour = {"best": ORANGE, "trained to the end": BLUE, "ended early": GREY}[name]
            steps, measures = zip(*dot.looks, strict=True) if dot.looks else ((), ())
            style = {"linewidth": 2.4 if dot is best else 1.1, "alpha": 1.0 if dot is best else 0.6}
            (handles[name],) = axes.plot(steps, measures, color=colour, marker="o", markersize=2.6, **style)
        axes.set(xlabel="step", ylabel=ylabel, ylim=(low - ROOM * (high - low), high))
        legend(figure, handles)

    return draw(paint, title)


def _limits(dots: Sequence[Dot]) -> tuple[float, float]:
    """What is shown: from a little below the middle half of the trials, so that one bad trial does not flatten all."""
    y = np.array([dot.measure for dot in dots if dot.complete] or [dot.measure for dot in dots])
    lower, middle = np.quantile(y, (0.25, 0.5))
    top = y.max()
    bottom = max(y.min(), lower - 3 * (middle - lower) - 0.5 * (top - middle))
    room = ROOM * (top - bottom) or 0.5
    return float(bottom - room), float(top + room)
