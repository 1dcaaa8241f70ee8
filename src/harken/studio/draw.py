"""Draws a plot in a process of its own: `python -m harken.studio.draw`, a drawing as JSON in, SVG out.

Matplotlib would take a third of the studio's memory, and a plot is drawn now and then.
"""

import json
import sys
from typing import Any

from harken.evaluate.metrics.calibration import Bin
from harken.evaluate.panels import panels
from harken.evaluate.plots import Bar, Series, bars, reliability


def draw(told: dict[str, Any]) -> str:
    """A drawing.

    Args:
        told: `kind` (`bars`, `panels`, `reliability`) and what that function of `evaluate` takes.
    """
    match told["kind"]:
        case "bars":
            groups = {name: [Bar(**one) for one in several] for name, several in told["groups"].items()}
            return bars(groups, told["title"], told["label"], tuple(told["limits"]) if told.get("limits") else None)
        case "panels":
            lines = [Series(one["label"], one["x"], one["y"]) for one in told["lines"]]
            return panels(lines, told["title"], told["xlabel"])
        case _:
            return reliability([Bin(**one) for one in told["bins"]], told["title"])


if __name__ == "__main__":
    sys.stdout.write(draw(json.load(sys.stdin)))
