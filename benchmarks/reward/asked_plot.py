"""Accuracy over answers, a panel a task: means over seeds, with the standard error of random's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from harken.evaluate.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, ROSE, STYLE

SHOWN = {
    "random": GREY,
    "random, again": "#9aa3ad",
    "bald, the best": BLUE,
    "badge": ROSE,
    "k_centre": PURPLE,
    "d_optimal": ORANGE,
    "v_optimal": GREEN,
}


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Write the plot; the ending names the format."""
    with plt.rc_context({**STYLE, "figure.facecolor": "white", "savefig.facecolor": "white"}):
        figure, panels = plt.subplots(1, len(found), figsize=(5.6 * len(found), 4.2), layout="constrained")
        for panel, (world, told) in zip(np.atleast_1d(panels), found.items(), strict=True):
            for name, colour in SHOWN.items():
                every = np.array(told["arms"][name]["accuracy"])
                mean = every.mean(0)
                width, dashes = (2.4, "--" if "again" in name else "-") if "random" in name else (1.5, "-")
                panel.plot(told["answers"], mean, dashes, color=colour, linewidth=width, label=name)
                if name == "random" and len(every) > 1:
                    error = every.std(0, ddof=1) / len(every) ** 0.5
                    panel.fill_between(told["answers"], mean - error, mean + error, color=colour, alpha=0.2, lw=0)
            panel.set(title=world, xlabel="answers", ylabel="held-out clear pairs in order")
        handles, labels = np.atleast_1d(panels)[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)
