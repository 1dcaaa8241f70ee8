"""How often one model's answers beat another's."""

from dataclasses import dataclass

import numpy as np

from harken.evaluate.metrics.bootstrap import Groups, Values, bootstrap_interval, paired


@dataclass(frozen=True, slots=True)
class WinRate:
    """Share of wins, ties counting half, with its interval and the counts behind it."""

    rate: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int


def win_rate(
    scores_a: Values,
    scores_b: Values,
    tolerance: float = 0.0,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    groups: Groups | None = None,
) -> WinRate:
    """Win rate of a over b: (wins + ties / 2) / n, with a percentile bootstrap interval.

    Args:
        scores_a: (n,) one score a prompt.
        scores_b: (n,) the opponent's scores on the same prompts.
        tolerance: scores that differ by no more are a tie.
        level: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        groups: (n,) labels of what belongs together, as in `bootstrap_interval`.

    Raises:
        ValueError: lists of unequal length, empty, or not finite; a negative tolerance.
    """
    a, b = paired(scores_a, scores_b)
    if tolerance < 0:
        raise ValueError(f"tolerance is {tolerance}: it must not be negative")
    outcomes = np.where(np.abs(a - b) <= tolerance, 0.5, (a > b).astype(np.float64))
    low, high = bootstrap_interval(outcomes, level=level, resamples=resamples, seed=seed, groups=groups)
    return WinRate(
        rate=float(outcomes.mean()),
        low=low,
        high=high,
        wins=int((outcomes == 1).sum()),
        ties=int((outcomes == 0.5).sum()),
        losses=int((outcomes == 0).sum()),
    )
