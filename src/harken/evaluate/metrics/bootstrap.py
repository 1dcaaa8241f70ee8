"""The percentile bootstrap: how far would this figure move with other samples of the same kind?"""

from collections.abc import Callable, Hashable, Sequence
from typing import SupportsFloat

import numpy as np

Values = Sequence[SupportsFloat] | np.ndarray
Groups = Sequence[Hashable] | np.ndarray

DRAWS_AT_ONCE = 2_000_000  # indices held in memory at one time: 16 MB


def numbers(values: Values, name: str = "values") -> np.ndarray:
    """Values as a float64 array (n,).

    Raises:
        ValueError: empty, not one-dimensional, or not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: a non-empty list of numbers is needed, got shape {array.shape}")
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name}[{at}] is {array[at]}: leave out what was not measured, and say so")
    return array


def paired(scores_a: Values, scores_b: Values) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two sides as arrays of one length (n,), (n,).

    Raises:
        ValueError: unequal lengths, empty, or not finite.
    """
    a, b = numbers(scores_a, "scores_a"), numbers(scores_b, "scores_b")
    if a.size != b.size:
        raise ValueError(f"{a.size} scores of a for {b.size} of b: one each a pair is needed")
    return a, b


def bootstrap_interval(
    values: Values,
    statistic: Callable[[np.ndarray], SupportsFloat] = np.mean,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    groups: Groups | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic (Efron and Tibshirani 1993, section 13.3).

    With all values alike the interval is a point: it knows no other values than those it was given.

    Args:
        values: (n,) one number a sample.
        statistic: array -> number; the mean is computed for all resamples at once.
        level: share of the resamples that lie within the interval.
        resamples: how many.
        seed: of the resampling.
        groups: (n,) samples with one label are drawn together (cluster bootstrap: several completions of one
            prompt are not independent).

    Returns:
        Lower and upper bound.

    Raises:
        ValueError: no values, a value that is not finite, labels of another length, a level outside (0, 1).
    """
    array = numbers(values)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: it must lie between 0 and 1, such as 0.95")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}: at least 1 is needed")
    members = clusters(groups, array.size)
    rng = np.random.default_rng(seed)
    if statistic is np.mean:
        found = resampled_means(array, members, resamples, rng)
    else:
        found = resampled(array, members, statistic, resamples, rng)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def clusters(groups: Groups | None, size: int) -> list[np.ndarray]:
    """Indices of the members of each group; without groups everyone stands alone."""
    if groups is None:
        return list(np.arange(size).reshape(-1, 1))
    if len(groups) != size:
        raise ValueError(f"groups has {len(groups)} labels for {size} values: one label a value is needed")
    members: dict[Hashable, list[int]] = {}
    for index, label in enumerate(groups):
        members.setdefault(label, []).append(index)
    return [np.array(found) for found in members.values()]


def resampled_means(
    values: np.ndarray, members: list[np.ndarray], resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Means of resamples (resamples,): sums and sizes of the groups are all that a mean needs."""
    sums = np.array([values[index].sum() for index in members])
    sizes = np.array([index.size for index in members], dtype=np.float64)
    chunk = max(1, DRAWS_AT_ONCE // len(members))
    found = []
    for start in range(0, resamples, chunk):
        drawn = rng.integers(0, len(members), size=(min(chunk, resamples - start), len(members)))
        found.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(found)


def resampled(
    values: np.ndarray,
    members: list[np.ndarray],
    statistic: Callable[[np.ndarray], SupportsFloat],
    resamples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Any statistic of resamples (resamples,)."""
    found = np.empty(resamples)
    for at in range(resamples):
        drawn = rng.integers(0, len(members), size=len(members))
        found[at] = float(statistic(values[np.concatenate([members[index] for index in drawn])]))
    return found
