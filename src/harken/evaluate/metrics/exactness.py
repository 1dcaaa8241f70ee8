"""Share of answers that are right."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from harken.evaluate.metrics.bootstrap import Values


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `count`, with an interval of the share."""

    rate: float
    low: float
    high: float
    right: int
    count: int


def exactness(flags: Values, level: float = 0.95) -> Share:
    """Share of True, with Wilson's score interval (Wilson 1927), which is fit for shares near 0 and 1.

    Args:
        flags: (n,) True where the answer was right.
        level: of the interval.

    Raises:
        ValueError: no flags, or values besides True and False (0 and 1).
    """
    array = np.asarray(flags)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"flags: a non-empty list of booleans is needed, got shape {array.shape}")
    if not np.isin(array, (0, 1)).all():
        raise ValueError("flags: True or False is needed for each answer; for grades take bootstrap_interval")
    right, count = int(array.sum()), int(array.size)
    interval = binomtest(right, count).proportion_ci(confidence_level=level, method="wilson")
    return Share(right / count, float(interval.low), float(interval.high), right, count)
