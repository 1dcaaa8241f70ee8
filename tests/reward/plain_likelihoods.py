"""How likely one statement is, in plain numbers, from the papers' formulas."""

import math
from collections.abc import Sequence


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def choice(a: float, b: float, log_tie: float, floor: float, side: float) -> dict[str, float]:
    """Davidson 1970 with the order effect of Davidson and Beaver 1977, and "both bad" as each found bad alone."""
    both = sigmoid(floor - a) * sigmoid(floor - b)
    first, second = math.exp(a + side / 2), math.exp(b - side / 2)
    tie = math.exp(log_tie) * math.sqrt(first * second)
    rest = (1 - both) / (first + second + tie)
    return {"a": rest * first, "b": rest * second, "tie": rest * tie, "both_bad": both}


def order(scores: dict[str, float], names: Sequence[str], below: Sequence[str] = ()) -> float:
    """Plackett 1975: choose the best of what is left, again and again."""
    out, left = 1.0, [*names, *below]
    for name in names:
        out *= math.exp(scores[name]) / sum(math.exp(scores[other]) for other in left)
        left.remove(name)
    return out


def grade(score: float, said: int, thresholds: Sequence[float], severity: float, scale: float) -> float:
    """McCullagh 1980: P(grade <= j) = sigmoid(scale (threshold_j + severity - score)); grades from 1."""
    at_most = [0.0, *(sigmoid(scale * (t + severity - score)) for t in thresholds), 1.0]
    return at_most[said] - at_most[said - 1]
