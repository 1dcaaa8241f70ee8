"""Plots as SVG text for the report. One style; the same input gives the same bytes.

Matplotlib is loaded with the first plot only: whoever wants a metric does not wait for it.
"""

import io
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harken.evaluate.metrics.bootstrap import Values, numbers
from harken.evaluate.metrics.calibration import Bin
from harken.evaluate.metrics.win_rate import WinRate
from harken.evaluate.svg import tidy

# Told apart by people with any colour vision, and each at least 4.5:1 on white.
BLUE, ORANGE, GREEN, PURPLE, ROSE, GREY = "#1f5fa8", "#b4540a", "#1b7a5a", "#6d4aa3", "#a8325e", "#5b6470"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, ROSE, GREY)
INK, FAINT = "#2a2f36", "#e4e7eb"
WIDTH, HEIGHT = 5.0, 3.1  # inches; small, so that the labels stay readable on a phone

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "harken",
    "text.parse_math": False,
    "font.size": 10.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa3ad",
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": "#9aa3ad",
    "ytick.color": "#9aa3ad",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
}


@dataclass(frozen=True, slots=True)
class Series:
    """One line.

    Attributes:
        label: its name in the legend.
        x: (n,).
        y: (n,); NaN leaves a gap.
        low: (n,) lower edge of a band around it.
        high: (n,) upper edge.
        axis: the y axis that it is read on.
        dashed: for what is only there to compare with.
    """

    label: str
    x: Values
    y: Values
    low: Values | None = None
    high: Values | None = None
    axis: Literal["left", "right"] = "left"
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, with the interval of its value where one is known."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


def smoothed(label: str, x: Values, y: Values, window: int, axis: Literal["left", "right"] = "left") -> Series:
    """The centred moving mean of a noisy line, with a band of one standard deviation within the window.

    Raises:
        ValueError: lists of unequal length, empty, not finite, or a window below 1.
    """
    at, values = numbers(x, "x"), numbers(y, "y")
    if at.size != values.size:
        raise ValueError(f"series {label!r}: {at.size} values of x for {values.size} of y")
    if window < 1:
        raise ValueError(f"window is {window}: at least 1 is needed")
    near = [values[max(0, i - window // 2) : i + (window - 1) // 2 + 1] for i in range(values.size)]
    mean, spread = np.array([w.mean() for w in near]), np.array([w.std() for w in near])
    return Series(label, at, mean, mean - spread, mean + spread, axis)


def curves(series: Sequence[Series], title: str, xlabel: str, ylabel: str, right_label: str = "") -> str:
    """Lines over one x axis, each with a band if it has one, read on the left axis or on a second, right one.

    Args:
        series: at least one.
        title: the drawing's name for screen readers; the page shows it as a heading.
        xlabel: name of x, with its unit.
        ylabel: name of the left axis.
        right_label: name of the right axis.

    Raises:
        ValueError: no series, or one whose lists differ in length.
    """
    if not series:
        raise ValueError(f"plot {title!r}: at least one series is needed")
    for one in series:
        sizes = {len(values) for values in (one.x, one.y, one.low, one.high) if values is not None}
        if len(sizes) > 1 or (one.low is None) != (one.high is None):
            raise ValueError(f"series {one.label!r}: x, y, low and high need one length and a band both its edges")

    def paint(figure: Any) -> None:
        left = figure.subplots()
        left.set(xlabel=xlabel, ylabel=ylabel)
        right = second_axis(left, right_label) if any(one.axis == "right" for one in series) else left
        for at, one in enumerate(series):
            axes = right if one.axis == "right" else left
            name = f"{one.label} (right)" if one.axis == "right" else one.label
            colour = PALETTE[at % len(PALETTE)]
            x, y = np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float)
            style = "--" if one.dashed else "-"
            dot = "o" if np.isfinite(y).sum() == 1 else None
            axes.plot(x, y, color=colour, label=name, linestyle=style, marker=dot)
            if one.low is not None:
                axes.fill_between(x, one.low, one.high, color=colour, alpha=0.16, linewidth=0)
        left.margins(x=0.02)
        legend(figure)

    return draw(paint, title)


def gold_against_proxy(x: Values, proxy: Values, gold: Values, title: str, xlabel: str = "√KL") -> str:
    """Reward that the policy was trained on (left axis) and gold preference (right axis) along training.

    Where the first still rises and the second falls, the policy exploits its reward model (arXiv 2210.10760,
    figure 1, which has √KL on the x axis). Points are measurements, lines a moving mean over x.

    Args:
        x: (n,) distance from the reference, or the step.
        proxy: (n,) learned reward.
        gold: (n,) gold score.
        title: the drawing's name for screen readers.
        xlabel: name of x.

    Raises:
        ValueError: lists of unequal length, empty, or not finite.
    """
    at, sides = numbers(x, "x"), (numbers(proxy, "proxy"), numbers(gold, "gold"))
    if {side.size for side in sides} != {at.size}:
        raise ValueError(f"{at.size} values of x for {sides[0].size} of proxy and {sides[1].size} of gold")
    order = np.argsort(at, kind="stable")
    window = max(1, at.size // 12)

    def paint(figure: Any) -> None:
        left = figure.subplots()
        left.set(xlabel=xlabel)
        right = second_axis(left, "gold score")
        left.set_ylabel("learned reward")
        names = (("learned reward", left, BLUE, "o"), ("gold score", right, ORANGE, "s"))
        for side, (name, axes, colour, marker) in zip(sides, names, strict=True):
            axes.scatter(at, side, s=9, color=colour, alpha=0.3, linewidths=0, marker=marker)
            mean = smoothed(name, at[order], side[order], window)
            style = "-" if axes is left else (0, (5, 1.5))
            axes.plot(mean.x, mean.y, color=colour, label=name, linestyle=style)
            axes.yaxis.label.set_color(colour)
            axes.tick_params(axis="y", labelcolor=colour)
        legend(figure)

    return draw(paint, title)


def reliability(bins: Sequence[Bin], title: str = "Reliability") -> str:
    """How often a won, against how often the model said that it would; below, how many predictions each bin has.

    Raises:
        ValueError: no bin has a prediction.
    """
    filled = [one for one in bins if one.count]
    if not filled:
        raise ValueError(f"plot {title!r}: no bin holds a prediction")

    def paint(figure: Any) -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        top.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), label="ideal")
        predicted, observed = [one.predicted for one in filled], [one.observed for one in filled]
        top.vlines(predicted, predicted, observed, color=ORANGE, linewidth=3, alpha=0.45, label="gap")
        top.plot(predicted, observed, color=BLUE, marker="o", markersize=4.5, label="model")
        top.set(ylim=(-0.03, 1.03), xlim=(-0.02, 1.02), ylabel="observed share")
        edges = [one.low for one in bins]
        widths = [0.94 * (one.high - one.low) for one in bins]
        bottom.bar(edges, [one.count for one in bins], widths, align="edge", color="#9db7d6")
        bottom.set(xlabel="predicted P(a beats b)", ylabel="pairs")
        bottom.grid(axis="x", visible=False)
        bottom.locator_params(axis="y", nbins=2, integer=True)
        figure.align_ylabels()
        legend(figure)

    return draw(paint, title, height=3.6)


def outcomes(rows: Mapping[str, WinRate], title: str, names: tuple[str, str, str] = ("wins", "ties", "losses")) -> str:
    """Wins, ties and losses as shares of one bar a row, with the win rate and its interval as a point above them.

    Args:
        rows: label -> win rate, drawn from top to bottom.
        title: the drawing's name for screen readers.
        names: what the three parts are called in the legend.

    Raises:
        ValueError: no rows.
    """
    if not rows:
        raise ValueError(f"plot {title!r}: at least one row is needed")

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        at = np.arange(len(rows))
        start = np.zeros(len(rows))
        parts = [[row.wins for row in rows.values()], [row.ties for row in rows.values()]]
        parts.append([row.losses for row in rows.values()])
        totals = np.sum(parts, axis=0)
        colours = ("#7fbfa6", "#d5dae0", "#e6b48a")
        for name, colour, counts in zip(names, colours, parts, strict=True):
            share = np.array(counts) / totals
            axes.barh(at, share, left=start, height=0.62, color=colour, label=name)
            start = start + share
        axes.axvline(0.5, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        rates = np.array([row.rate for row in rows.values()])
        below = np.maximum(0, rates - [row.low for row in rows.values()])
        above = np.maximum(0, [row.high for row in rows.values()] - rates)
        axes.errorbar(rates, at, xerr=[below, above], fmt="o", color=INK, capsize=3, markersize=4.5, label="win rate")
        axes.set(xlim=(0, 1), xlabel="share of prompts")
        rows_down(axes, list(rows))
        legend(figure)

    return draw(paint, title, height=1.5 + 0.4 * len(rows))


def bars(
    groups: Mapping[str, Sequence[Bar]], title: str, xlabel: str, limits: tuple[float, float] | None = None
) -> str:
    """Horizontal bars side by side, such as before and after for every task, each with its interval.

    Args:
        groups: name in the legend -> one bar a row; all groups have the same rows.
        title: the drawing's name for screen readers.
        xlabel: what the length means, with its unit.
        limits: of the x axis.

    Raises:
        ValueError: no groups, or groups with different rows.
    """
    rows = {name: [bar.label for bar in group] for name, group in groups.items()}
    labels = next(iter(rows.values()), [])
    if not labels or any(other != labels for other in rows.values()):
        raise ValueError(f"plot {title!r}: every group needs the same, at least one, rows; got {rows}")

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        height = 0.76 / len(groups)
        # The first group is the one to compare with, and greyer for it when there are two.
        colours = ("#a9b4c0", BLUE) if len(groups) == 2 else PALETTE
        for place, (name, group) in enumerate(groups.items()):
            at = np.arange(len(labels)) + (place - (len(groups) - 1) / 2) * height
            colour = colours[place % len(colours)]
            axes.barh(at, [bar.value for bar in group], height=height * 0.92, color=colour, label=name)
            for y, bar in zip(at, group, strict=True):
                if bar.low is not None and bar.high is not None:
                    axes.plot([bar.low, bar.high], [y, y], color="white", linewidth=3.6)  # to be seen on any bar
                    axes.plot([bar.low, bar.high], [y, y], color=INK, linewidth=1.4)
        axes.set(xlabel=xlabel)
        if all(float(bar.value).is_integer() for group in groups.values() for bar in group):
            axes.locator_params(axis="x", integer=True)
        if limits is not None:
            axes.set_xlim(*limits)
        rows_down(axes, labels)
        legend(figure)

    named = 1.4 if any(groups) else 0.9
    return draw(paint, title, height=named + len(labels) * (0.2 + 0.22 * len(groups)))


def rows_down(axes: Any, labels: Sequence[str]) -> None:
    """Name the rows of a horizontal bar plot, the first on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)


def second_axis(left: Any, label: str) -> Any:
    """A right y axis without a grid of its own."""
    right = left.twinx()
    right.set_ylabel(label)
    right.grid(visible=False)
    right.spines["right"].set_visible(False)
    return right


def legend(figure: Any, named: Mapping[str, Any] | None = None) -> None:
    """One legend for all axes, above them: of what is named, or of all that has a name in them, if anything has."""
    found = [pair for axes in figure.axes for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    if named is not None:
        found = [(handle, name) for name, handle in named.items()]
    if found:
        handles, labels = zip(*found, strict=True)
        letters = max(len(label) for label in labels) + 5
        columns = max(1, min(len(labels), math.floor(64 * figure.get_figwidth() / WIDTH / letters)))
        figure.legend(handles, labels, loc="outside upper left", ncols=columns)


def draw(paint: Callable[[Any], None], title: str, height: float = HEIGHT, width: float = WIDTH) -> str:
    """Let `paint` fill a figure in harken's style and return it as SVG."""
    import matplotlib.style
    from matplotlib.figure import Figure

    out = io.StringIO()
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        # Labels in any script: the reader's browser has the glyphs, matplotlib only measures them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        figure.savefig(out, format="svg", metadata={"Date": None})
    return tidy(out.getvalue(), title)
