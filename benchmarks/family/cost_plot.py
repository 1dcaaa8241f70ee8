"""Milliseconds and memory of each part at each size, as dots on two axes."""

from collections.abc import Sequence
from typing import Any

from harken.evaluate.plots import BLUE, GREEN, ORANGE, draw, legend

DOTS = {"small": (BLUE, "o"), "medium": (ORANGE, "s"), "large": (GREEN, "D")}
LINE, EDGE = 0.2, 1.1
"""Inches of a part's line, and of what stands around them."""


def cost_plot(rows: Sequence[dict[str, Any]], batch: int) -> str:
    """An SVG with a line for each part.

    Args:
        rows: figures of `cost`.
        batch: media in each forward and backward.

    Raises:
        ValueError: if there are none.
    """
    if not rows:
        raise ValueError("nothing was measured, so there is nothing to draw; see --only")
    names = list(dict.fromkeys((row["room"], row["part"]) for row in rows))
    at = {name: -number for number, name in enumerate(names)}

    def paint(figure: Any) -> None:
        axes = figure.subplots(1, 2, sharey=True)
        for side, key, label in zip(axes, ("ms", "MiB"), (f"ms for {batch}", f"MiB for {batch}"), strict=True):
            for size, (colour, marker) in DOTS.items():
                chosen = [row for row in rows if row["size"] == size]
                heights = [at[row["room"], row["part"]] for row in chosen]
                dots = {"color": colour, "marker": marker, "linestyle": "", "markersize": 4.5}
                side.plot([max(row[key], 1e-3) for row in chosen], heights, label=size, **dots)
            side.set(xscale="log", xlabel=label)
            side.xaxis.set_major_formatter("{x:g}")
        axes[0].set_yticks(list(at.values()), [f"{part} ({room})" for room, part in at])
        handles = dict(zip(DOTS, axes[0].get_lines(), strict=True))
        legend(figure, handles)

    return draw(paint, "Cost of each part at three sizes", height=EDGE + LINE * len(names), width=8.0)
