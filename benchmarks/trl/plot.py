"""How the cost of a GRPO step grows with the group and with the prompt, on both sides."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

from benchmarks.trl.rows import SWEEP_GROUPS, SWEEP_LENGTHS

NAME = re.compile(r"grpo_g(\d+)_t(\d+)")
COLOURS = ("#0072B2", "#D55E00", "#009E73")
"""One a prompt length; told apart by those who see few colours too (Okabe and Ito 2008)."""
PANELS = (("s", "seconds a step"), ("mib", "peak memory, MiB"))


def grid(result: Mapping[str, Any]) -> dict[tuple[int, int], Mapping[str, Any]]:
    """Figures by (group, prompt tokens)."""
    found = {NAME.fullmatch(name): figures for name, figures in result.items()}
    return {(int(match[1]), int(match[2])): figures for match, figures in found.items() if match}


def _draw(axes: Axes, cells: Mapping[tuple[int, int], Mapping[str, Any]], key: str) -> None:
    for colour, length in zip(COLOURS, SWEEP_LENGTHS, strict=True):
        groups = [group for group in SWEEP_GROUPS if (group, length) in cells]
        for side, style in (("trl", "--"), ("harken", "-")):
            values = [cells[group, length][f"{side}_{key}"] for group in groups]
            name = "TRL" if side == "trl" else "harken"
            axes.plot(groups, values, style, color=colour, marker="o", markersize=4, label=f"{name}, {length} tokens")


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Write the plot; the ending names the format.

    Raises:
        ValueError: if the result holds no sweep.
    """
    cells = grid(result)
    if not cells:
        raise ValueError("there is no sweep in this result; measure one with --sweep")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for panel, (key, label) in zip(axes, PANELS, strict=False):
        _draw(panel, cells, key)
        panel.set(xscale="log", yscale="log", ylabel=label)
    for colour, length in zip(COLOURS, SWEEP_LENGTHS, strict=True):
        groups = [group for group in SWEEP_GROUPS if (group, length) in cells]
        ratios = [cells[group, length]["ratio"] for group in groups]
        axes[2].plot(groups, ratios, color=colour, marker="o", markersize=4, label=f"{length} tokens")
    axes[2].set(xscale="log", ylabel="TRL's time / harken's", ylim=(0, None))
    for panel in axes:
        panel.set_xlabel("completions a prompt")
        if panel.get_yscale() == "log":
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        panel.set_xticks(SWEEP_GROUPS, [str(group) for group in SWEEP_GROUPS], minor=False)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize=7, handlelength=3.5)
    figure.suptitle("One GRPO step: a prompt with a picture, 32 new tokens, one thread")
    figure.savefig(path, dpi=110, metadata={"Software": None} if path.suffix == ".png" else {"Date": None})
    plt.close(figure)
