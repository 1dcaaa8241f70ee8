"""Handwriting from scikit-learn's `load_digits`: real scans, 8 x 8 pixels. It names no writers, so only the order is a
clue to who wrote what: the test part is the contiguous block at the end, and no more is claimed of it."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int64, UInt8

try:
    from sklearn.datasets import load_digits
except ModuleNotFoundError:  # an optional part: a run on other data does without it
    load_digits = None

HELD_OUT = 360
"""Scans at the end of the set that only test prompts show."""


class DigitsUnavailable(ValueError):
    """scikit-learn, which carries the scans, is not installed."""


@lru_cache(maxsize=1)
def scans() -> tuple[UInt8[np.ndarray, "n 8 8"], Int64[np.ndarray, " n"]]:
    """All scans in their own order, 0..255, and their digits.

    Raises:
        DigitsUnavailable: if scikit-learn is not installed.
    """
    if load_digits is None:
        raise DigitsUnavailable("data.name=demo needs scikit-learn's digits: pip install scikit-learn")
    loaded = load_digits()
    return np.rint(loaded.images / 16 * 255).astype(np.uint8), loaded.target.astype(np.int64)


def rows_of(test: bool) -> range:
    """Rows of the training part, or of the block at the end."""
    count = len(scans()[1])
    return range(count - HELD_OUT, count) if test else range(count - HELD_OUT)


@lru_cache(maxsize=2)
def by_digit(test: bool) -> tuple[tuple[int, ...], ...]:
    """Rows of each digit within a part."""
    digits = scans()[1]
    return tuple(tuple(row for row in rows_of(test) if digits[row] == d) for d in range(10))


def picture(number: str, test: bool, rng: np.random.Generator) -> UInt8[np.ndarray, "8 W 3"]:
    """Scans of a number's digits side by side, grey."""
    rows = [by_digit(test)[int(d)] for d in number]
    chosen = [scans()[0][options[int(rng.integers(len(options)))]] for options in rows]
    return np.repeat(np.concatenate(chosen, 1)[..., None], 3, 2)
