"""Means with their 95 % intervals."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

RESAMPLES = 1000
Told = list[float]
"""Mean, and the ends of the interval."""


def over_draws(values: Sequence[float]) -> Told:
    """Student's interval of the mean over draws or seeds: what another draw of the same answers would change."""
    found = np.asarray(values, dtype=np.float64)
    half = t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5 if len(found) > 1 else np.nan
    return [round(float(x), 4) for x in (found.mean(), found.mean() - half, found.mean() + half)]


def over_units(figure: Callable[[NDArray[np.int64]], float], units: int, seed: int = 0) -> Told:
    """Percentile bootstrap over items, people or clips: what others of them would change (Efron 1979).

    Args:
        figure: of the units with these numbers, which may repeat; NaN where it is not defined, which is left out.
        units: how many there are.
        seed: of the resampling.
    """
    chance = np.random.default_rng(seed)
    drawn = [figure(chance.integers(0, units, units)) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return [round(float(x), 4) for x in (figure(np.arange(units)), low, high)]
