"""Numbers as a page shows them: a line for each channel, and a table; thinned where they are long, the file has all."""

from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float32

from harken.data.media.numbers import Table, to_json

LINES = 12
"""Channels that are drawn."""
BINS = 200
"""Stretches of a long line; of each its lowest and its highest number is drawn, so that no peak is lost."""
ROWS, COLUMNS = 100, 64
"""Of the table."""


def series_shown(given: Table) -> dict[str, Any]:
    """What a page must know to draw numbers, and to reserve their room."""
    steps, channels = given.values.shape
    chosen = np.unique(np.linspace(0, steps - 1, min(steps, ROWS)).round().astype(int))
    rows = to_json(Table(given.values[chosen, :COLUMNS]))["values"]
    assert isinstance(rows, list)
    several = range(min(channels, LINES)) if steps > 1 else ()
    return {
        "steps": steps,
        "channels": channels,
        "names": list(given.names[:COLUMNS]),
        "lines": [_line(given.values[:, channel]) for channel in several],
        "rows": [[int(step) + 1, *row] for step, row in zip(chosen, rows, strict=True)],
    }


def _line(values: Float32[np.ndarray, " T"]) -> dict[str, Any]:
    """Points of one channel, as places from 0 to 1 along and up, and what they lie between."""
    low, high = (float(str(value)) for value in (values.min(), values.max()))
    places = np.arange(len(values))
    if len(values) > 2 * BINS:
        edges = np.linspace(0, len(values), BINS + 1).astype(int)
        ends = [(a + np.argmin(values[a:b]), a + np.argmax(values[a:b])) for a, b in pairwise(edges)]
        places = np.array([place for pair in ends for place in sorted(pair)])
    # As 64 bits: the distance between two numbers of 32 bits may not be one.
    shown = values[places].astype(np.float64)
    up = (shown - low) / (high - low) if high > low else np.full(len(shown), 0.5)
    along = places / (len(values) - 1)
    return {
        "low": low,
        "high": high,
        "first": float(str(values[0])),
        "last": float(str(values[-1])),
        "points": [[round(float(x), 4), round(float(y), 4)] for x, y in zip(along, up, strict=True)],
    }
