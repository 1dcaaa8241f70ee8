"""Does a reward model's confidence mean what it says?"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from harken.evaluate.metrics.bootstrap import Values, numbers, paired


@dataclass(frozen=True, slots=True)
class Bin:
    """The predictions between `low` and `high`.

    Attributes:
        low: lower edge.
        high: upper edge.
        count: predictions in it.
        predicted: their mean probability; NaN when there are none.
        observed: share that came true; NaN when there are none.
    """

    low: float
    high: float
    count: int
    predicted: float
    observed: float


def preference_probabilities(scores_a: Values, scores_b: Values) -> np.ndarray:
    """P(a beats b) = sigmoid(score of a - score of b), shape (n,) (Bradley and Terry 1952).

    Raises:
        ValueError: lists of unequal length, empty, or not finite.
    """
    a, b = paired(scores_a, scores_b)
    return expit(a - b)


def reliability_bins(probabilities: Values, outcomes: Values, bins: int = 10) -> tuple[Bin, ...]:
    """Predictions in bins of equal width over [0, 1], with what came of them (arXiv 1706.04599, section 2).

    Args:
        probabilities: (n,) P(a beats b).
        outcomes: (n,) 1 where a won, 0 where b won, 0.5 for a tie.
        bins: how many; each holds its upper edge, the first its lower edge too.

    Raises:
        ValueError: unequal lengths, values outside [0, 1], fewer than one bin.
    """
    p, y = predictions(probabilities, outcomes)
    if bins < 1:
        raise ValueError(f"bins is {bins}: at least 1 is needed")
    edges = np.arange(bins + 1) / bins
    which = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, bins - 1)
    found = []
    for at in range(bins):
        here = which == at
        count = int(here.sum())
        predicted, observed = (float(p[here].mean()), float(y[here].mean())) if count else (np.nan, np.nan)
        found.append(Bin(float(edges[at]), float(edges[at + 1]), count, predicted, observed))
    return tuple(found)


def expected_calibration_error(probabilities: Values, outcomes: Values, bins: int = 10) -> float:
    """Mean |observed - predicted| over bins, weighted by their counts, in 0..1 (arXiv 1706.04599, equation 3).

    Raises:
        ValueError: as `reliability_bins`.
    """
    found = [b for b in reliability_bins(probabilities, outcomes, bins) if b.count]
    total = sum(b.count for b in found)
    return sum(b.count * abs(b.observed - b.predicted) for b in found) / total


def brier_score(probabilities: Values, outcomes: Values) -> float:
    """Mean squared error of the probabilities, in 0..1; 0.25 is what saying 0.5 always gets (Brier 1950).

    Raises:
        ValueError: unequal lengths or values outside [0, 1].
    """
    p, y = predictions(probabilities, outcomes)
    return float(np.mean((p - y) ** 2))


def predictions(probabilities: Values, outcomes: Values) -> tuple[np.ndarray, np.ndarray]:
    """Both lists as arrays of one length within [0, 1]."""
    p, y = numbers(probabilities, "probabilities"), numbers(outcomes, "outcomes")
    if p.size != y.size:
        raise ValueError(f"{p.size} probabilities for {y.size} outcomes: one each a comparison is needed")
    for name, array in (("probabilities", p), ("outcomes", y)):
        outside = np.flatnonzero((array < 0) | (array > 1))
        if outside.size:
            raise ValueError(f"{name}[{outside[0]}] is {array[outside[0]]}: it must lie within 0 and 1")
    return p, y
