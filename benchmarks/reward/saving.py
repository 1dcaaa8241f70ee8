"""How many answers a policy saves: where its curve reaches what random ends with, with an interval over seeds."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

RESAMPLES = 2_000


@dataclass(frozen=True)
class Saving:
    """Of one policy against random.

    Attributes:
        answers: needed to reach random's final accuracy, by the mean curve; None if it was not reached.
        share: of random's answers that is saved, from -1 (a policy that does not get there counts as one that would
            need twice the horizon) to 1.
        interval: 95 % of it, over seeds.
        unreached: share of the resamples in which it was not reached.
        gain: mean difference to random over all rounds, paired by seed.
        gain_interval: 95 % of it, over seeds.
    """

    answers: float | None
    share: float
    interval: tuple[float, float]
    unreached: float
    gain: float
    gain_interval: tuple[float, float]


def rising(curve: np.ndarray) -> np.ndarray:
    """The nearest curve that never falls (isotonic regression).

    The first of many noisy points above a line is there too soon; of a smoothed curve it is not.
    """
    return np.asarray(isotonic_regression(curve).x)


def needed(answers: np.ndarray, curve: np.ndarray, goal: float) -> float | None:
    """Answers at which a rising curve reaches a goal, straight between points; None where it never does."""
    at = int(np.searchsorted(curve, goal - 1e-12))
    if at == len(curve):
        return None
    if at == 0:
        return float(answers[0])
    share = (goal - curve[at - 1]) / (curve[at] - curve[at - 1])
    return float(answers[at - 1] + share * (answers[at] - answers[at - 1]))


def goal_of(answers: np.ndarray, random: np.ndarray) -> tuple[float, float]:
    """What random ends with, by its mean curve made to rise, and the answers at which it first is there."""
    base = rising(random.mean(0))
    took = needed(answers, base, base[-1])
    assert took is not None, "random reaches what it ends with"
    return float(base[-1]), took


def saving_of(answers: np.ndarray, random: np.ndarray, policy: np.ndarray, seed: int = 0) -> Saving:
    """Saving of a policy, from curves of the same seeds.

    Both mean curves are made to rise; random's own answers are those at which its curve first is what it ends with, so
    that a plateau of random counts for random.

    Args:
        answers: after each round, (R,).
        random: accuracy of the random policy, (S, R) for S seeds.
        policy: of the other, (S, R).
        seed: of the bootstrap over seeds.
    """

    def measure(rows: np.ndarray) -> tuple[float, float | None]:
        goal, took = goal_of(answers, random[rows])
        takes = needed(answers, rising(policy[rows].mean(0)), goal)
        return (-1.0 if takes is None else max(-1.0, 1 - takes / took)), takes

    seeds, chance = len(random), np.random.default_rng(seed)
    share, takes = measure(np.arange(seeds))
    drawn = [chance.integers(0, seeds, seeds) for _ in range(RESAMPLES)]
    found = [measure(rows) for rows in drawn]
    gains = (policy - random).mean(axis=1)
    return Saving(
        takes,
        share,
        _interval(np.array([one for one, _ in found])),
        float(np.mean([reached is None for _, reached in found])),
        float(gains.mean()),
        _interval(np.array([gains[rows].mean() for rows in drawn])),
    )


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
