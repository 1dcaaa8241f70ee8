"""Draws a plot in a process of its own: `python -m harken.studio.draw`, a drawing as JSON in, SVG out.

Matplotlib would take a third of the studio's memory, and a plot is drawn now and then.
"""

import json
import sys
from typing import Any

from harken.evaluate.metrics.calibration import Bin
from harken.evaluate.plots import Bar, Series, bars, curves, reliability


def draw(told: dict[str, Any]) -> str:
    """A drawing.

    Args:
        told: `kind` (`bars`, `curves`, `reliability`) and what that function of `evaluate/plots.py` takes.
    """
    match told["kind"]:
        case "bars":
            groups = {name: [Bar(**one) for one in several] for name, several in told["groups"].items()}
            return bars(groups, told["title"], told["label"], tuple(told["limits"]) if told.get("limits") else None)
        case "curves":
            lines = [Series(one["label"], one["x"], one["y"]) for one in told["series"]]
            return curves(lines, told["title"], told["xlabel"], told["ylabel"])
        case _:
            return reliability([Bin(**one) for one in told["bins"]], told["title"])


if __name__ == "__main__":
    sys.stdout.write(draw(json.load(sys.stdin)))
