"""Small plots side by side in one drawing, such as all curves of a run."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from harken.evaluate.plots import BLUE, WIDTH, Series, draw

COLUMNS, HEIGHT = 2, 1.75


def panels(lines: Sequence[Series], title: str, xlabel: str) -> str:
    """One panel a line, its label above it.

    Args:
        lines: at least one.
        title: the drawing's name for screen readers.
        xlabel: name of x, the same for all.

    Raises:
        ValueError: no lines, or one whose lists differ in length.
    """
    if not lines:
        raise ValueError(f"plot {title!r}: at least one line is needed")
    for one in lines:
        if len(one.x) != len(one.y):
            raise ValueError(f"line {one.label!r}: {len(one.x)} values of x for {len(one.y)} of y")
    columns = min(COLUMNS, len(lines))
    rows = math.ceil(len(lines) / columns)

    def paint(figure: Any) -> None:
        places = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for axes, one in zip(places, lines, strict=False):
            axes.plot(np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float), color=BLUE)
            axes.set_title(one.label, fontsize=10, loc="left")
            axes.margins(x=0.02)
            axes.locator_params(nbins=4)
        for axes in places[len(lines) :]:
            axes.set_visible(False)
        for axes in places[max(0, len(lines) - columns) : len(lines)]:
            axes.set_xlabel(xlabel)

    return draw(paint, title, height=0.3 + HEIGHT * rows, width=WIDTH * 1.4)
