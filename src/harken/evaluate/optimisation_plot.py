"""Gold and proxy of several arms along sqrt(KL), panel by panel, as in figures 1 and 2 of Gao 2022 (2210.10760)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harken.evaluate.metrics.bootstrap import Values
from harken.evaluate.plots import PALETTE, draw, legend

COLUMNS = 3
PANEL = (2.45, 2.3)
"""Inches."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to optimise a proxy.

    Attributes:
        label: its name in the legend; arms of one name have one colour in all panels.
        distance: sqrt(KL) of S points, rising or not.
        gold: mean gold at each.
        low: lower edge of gold's band; None for no band.
        high: upper edge.
        law: gold by a fitted form at the same points; None for none.
    """

    label: str
    distance: Values
    gold: Values
    low: Values | None = None
    high: Values | None = None
    law: Values | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Arms that are read together.

    Attributes:
        title: above it.
        arms: at least one.
        proxy: (distance, proxy) of the first arm, dashed on a right axis: what the optimiser thinks that it gains.
    """

    title: str
    arms: Sequence[Arm]
    proxy: tuple[Values, Values] | None = None


def gold_along_kl(panels: Sequence[Panel], title: str, ylabel: str = "gold, over the reference") -> str:
    """Gold of every arm over sqrt(KL): points and lines are measured, dotted lines are the fitted form.

    Args:
        panels: side by side, three in a row.
        title: the drawing's name for screen readers.
        ylabel: name of gold's axis.

    Raises:
        ValueError: if there is no panel, or one without an arm, or an arm's lists differ in length.
    """
    if not panels or not all(panel.arms for panel in panels):
        raise ValueError(f"plot {title!r}: at least one panel, and an arm in each, are needed")
    for arm in (arm for panel in panels for arm in panel.arms):
        sizes = {len(v) for v in (arm.distance, arm.gold, arm.low, arm.high, arm.law) if v is not None}
        if len(sizes) > 1 or (arm.low is None) != (arm.high is None):
            raise ValueError(f"arm {arm.label!r}: its lists need one length, and a band both its edges")
    names = list(dict.fromkeys(arm.label for panel in panels for arm in panel.arms))
    colour = {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(names)}
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)

    def paint(figure: Any) -> None:
        grid = figure.subplots(rows, columns, squeeze=False)
        shown: dict[str, Any] = {}
        for axes, panel in zip(grid.flat, panels, strict=False):
            shown |= _panel(axes, panel, colour)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel(ylabel)
        for place, axes in enumerate(grid.flat):
            if place + columns >= len(panels):
                axes.set_xlabel("√KL")
        legend(figure, shown)

    width, height = PANEL
    return draw(paint, title, height=0.4 + height * rows, width=0.4 + width * columns)


def _panel(axes: Any, panel: Panel, colour: Mapping[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    axes.set_title(panel.title, fontsize=9, loc="left")
    axes.axhline(0.0, color="#9aa3ad", linewidth=0.8)
    for arm in panel.arms:
        order = np.argsort(np.asarray(arm.distance, dtype=float), kind="stable")
        x, y, tint = np.asarray(arm.distance, dtype=float)[order], np.asarray(arm.gold)[order], colour[arm.label]
        (shown[arm.label],) = axes.plot(x, y, color=tint, marker="o", markersize=2.6, linewidth=1.5)
        if arm.low is not None and arm.high is not None:
            low, high = np.asarray(arm.low)[order], np.asarray(arm.high)[order]
            axes.fill_between(x, low, high, color=tint, alpha=0.13, linewidth=0)
        if arm.law is not None:
            (line,) = axes.plot(x, np.asarray(arm.law)[order], color=tint, linestyle=":", linewidth=1.3)
            shown.setdefault("fitted form", line)
    if panel.proxy is not None:
        right = axes.twinx()
        right.grid(visible=False)
        right.tick_params(labelsize=8, labelcolor="#5b6470")
        x, y = (np.asarray(v, dtype=float) for v in panel.proxy)
        order = np.argsort(x, kind="stable")
        (line,) = right.plot(x[order], y[order], color="#5b6470", linestyle="--", linewidth=1.2)
        shown["proxy of the first (right)"] = line
    axes.tick_params(labelsize=8)
    return shown
