"""Do people agree? Shares of equal answers, Cohen's and Fleiss' kappa, Krippendorff's alpha, with intervals over items.

All of them are 1 at perfect agreement, 0 at chance, and below 0 where people say the opposite.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

import krippendorff
import numpy as np
from jaxtyping import Float, Int

from harken.feedback.tables import Table

Metric = Literal["nominal", "ordinal", "interval"]
RESAMPLES = 1000
DRAWS_AT_ONCE = 20_000_000
"""Numbers held in memory at one time: 160 MB."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; NaN where it is not defined: nothing is shared, or all said one and the same."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Agreement:
    """Of the items that two annotators share, on how many they say the same; and Cohen's kappa."""

    first: str
    second: str
    shared: int
    agreed: int
    kappa: float

    @property
    def rate(self) -> float:
        """The share in 0..1; NaN where nothing is shared."""
        return self.agreed / self.shared if self.shared else math.nan


def pairwise(table: Table) -> list[Agreement]:
    """For each two annotators that are told apart: how often they say the same, and Cohen's kappa."""
    out, rows = [], table.rows()
    for i, j in combinations(range(len(table.annotators)), 2):
        confusion = table.confusion_of(rows[i], rows[j])
        shared, agreed = int(confusion.sum()), int(np.trace(confusion))
        kappa = float(cohen_kappa(confusion, table.weights()))
        out.append(Agreement(table.annotators[i], table.annotators[j], shared, agreed, kappa))
    return out


def mean_kappa(pairs: Sequence[Agreement]) -> float:
    """Mean of Cohen's kappa over pairs of annotators for whom it is defined (Light 1971); NaN where there is none."""
    found = [pair.kappa for pair in pairs if not math.isnan(pair.kappa)]
    return float(np.mean(found)) if found else math.nan


def agreement_rate(table: Table, resamples: int = RESAMPLES) -> Estimate:
    """The share of equal answers over all pairs of people and the items they share."""
    counts = table.shared_counts()
    same, total = (counts * (counts - 1)).sum(1), counts.sum(1) * (counts.sum(1) - 1)
    draws = _draws(len(counts), resamples)
    return _estimate(float(np.sum(same)), float(np.sum(total)), draws @ same, draws @ total)


def cohen_kappa(confusion: Float[np.ndarray, "*B V V"], weights: Float[np.ndarray, "V V"]) -> Float[np.ndarray, "*B"]:
    """Cohen's kappa: 1 - weighted disagreement / that of two who answer independently, each with their own shares.

    Args:
        confusion: how often one said v where the other said w.
        weights: of a disagreement; all 1 but on the diagonal for names, (v - w)^2 for grades.

    Returns:
        kappa; NaN where both said one and the same of everything, or nothing is shared.

    Source: J. Cohen 1960 (Educ. Psychol. Meas. 20); weighted, 1968 (Psychol. Bull. 70).
    """
    total = confusion.sum((-1, -2))
    independent = confusion.sum(-1)[..., :, None] * confusion.sum(-2)[..., None, :]
    observed, expected = (confusion * weights).sum((-1, -2)) * total, (independent * weights).sum((-1, -2))
    return np.divide(expected - observed, expected, out=np.full(expected.shape, np.nan), where=expected > 0)


def fleiss_kappa(table: Table, resamples: int = RESAMPLES) -> Estimate:
    """Fleiss' kappa: agreement of those who answered an item, whoever they were, beyond that of answers by chance.

    Items may have different numbers of answers: each item with two or more counts alike, as do the answers in the
    shares of values; where all have as many it is Fleiss' own. Crowds are counted.

    Source: J. L. Fleiss 1971 (Psychol. Bull. 76), equations 3 to 7.
    """
    counts = table.shared_counts()
    if not len(counts):
        return Estimate(math.nan)
    people = counts.sum(1)
    agreed = (counts * (counts - 1)).sum(1) / (people * (people - 1))
    draws = np.concatenate([np.ones((1, len(counts))), _draws(len(counts), resamples)])
    observed, values = draws @ agreed / len(counts), draws @ counts
    expected = ((values / values.sum(1, keepdims=True)) ** 2).sum(1)
    certain = expected > 1 - 1e-12
    found = np.where(certain, np.nan, (observed - expected) / np.where(certain, 1.0, 1 - expected))
    return _with_interval(float(found[0]), found[1:])


def alpha(table: Table, metric: Metric, resamples: int = RESAMPLES) -> Estimate:
    """Krippendorff's alpha of a table, crowds counted; its interval is a bootstrap over items.

    The figure is the library's; a thousand resamples share their items' coincidences, which the library computes anew
    each time, so these are `alpha_of` one matrix product.
    """
    counts = table.shared_counts()
    if not len(counts) or (counts.sum(0) > 0).sum() < 2:
        return Estimate(math.nan)
    # Values that nobody gave would be read as values of a scale; distances of grades do not change without them.
    given = np.flatnonzero(counts.sum(0))
    value = krippendorff.alpha(value_counts=counts[:, given], value_domain=given, level_of_measurement=metric)
    each = _coincidences(counts)
    drawn = (_draws(len(counts), resamples) @ each.reshape(len(counts), -1)).reshape(-1, *each.shape[1:])
    return _with_interval(float(value), alpha_of(drawn, metric))


def alpha_of(coincidences: Float[np.ndarray, "B V V"], metric: Metric) -> Float[np.ndarray, " B"]:
    """Krippendorff's alpha of matrices of coincidences; NaN where all said one and the same.

    Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections C and D.
    """
    totals = coincidences.sum(2)
    distance = _distance(totals, metric)
    expected = (totals[:, :, None] * totals[:, None, :] * distance).sum((1, 2))
    observed = (totals.sum(1) - 1) * (coincidences * distance).sum((1, 2))
    return np.divide(expected - observed, expected, out=np.full(len(expected), np.nan), where=expected > 0)


def disputes(table: Table) -> Float[np.ndarray, " U"]:
    """How much the answers to each item differ: mean weighted disagreement of two of them, in 0..1; NaN for one."""
    counts = table.counts.astype(float)
    people = counts.sum(1)
    apart = np.einsum("uv,uw,vw->u", counts, counts, table.weights())
    return np.divide(apart, people * (people - 1), out=np.full(len(counts), np.nan), where=people > 1)


def resampled(confusions: Float[np.ndarray, "U V V"], weights: Float[np.ndarray, "V V"], level: float) -> Estimate:
    """Kappa over items, each with what one said against what others said of it, with its interval."""
    value = float(cohen_kappa(confusions.sum(0), weights))
    drawn = _draws(len(confusions)) @ confusions.reshape(len(confusions), -1)
    return _with_interval(value, cohen_kappa(drawn.reshape(-1, *weights.shape), weights), level)


def mean_interval(values: Float[np.ndarray, " U"], level: float) -> Estimate:
    """A mean over items with its interval."""
    return _with_interval(float(values.mean()), _draws(len(values)) @ values / len(values), level)


def _coincidences(counts: Int[np.ndarray, "U V"]) -> Float[np.ndarray, "U V V"]:
    # An answer is never paired with itself.
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])
    return pairs / (counts.sum(1) - 1)[:, None, None]


def _distance(totals: Float[np.ndarray, "B V"], metric: Metric) -> Float[np.ndarray, "B V V"]:
    if metric == "nominal":
        return np.broadcast_to(1 - np.eye(totals.shape[1]), (len(totals), *[totals.shape[1]] * 2))
    if metric == "interval":
        place = np.broadcast_to(np.arange(totals.shape[1], dtype=float), totals.shape)
    else:
        # The answers from grade c to grade k, both ends by half: the distance of the middles of their ranks.
        place = np.cumsum(totals, axis=1) - totals / 2
    return (place[:, :, None] - place[:, None, :]) ** 2


@lru_cache(maxsize=2)
def _draws(items: int, resamples: int = RESAMPLES) -> Float[np.ndarray, "B U"]:
    """How often each item is drawn in each resample; the same for the same numbers. Fewer resamples of very many."""
    resamples = max(100, min(resamples, DRAWS_AT_ONCE // max(items, 1)))
    drawn = np.random.default_rng(0).integers(0, max(items, 1), (resamples, items))
    places = drawn + items * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * items).reshape(resamples, items).astype(float)


def _estimate(same: float, total: float, sames: np.ndarray, totals: np.ndarray) -> Estimate:
    if not total:
        return Estimate(math.nan)
    return _with_interval(same / total, sames / np.maximum(totals, 1e-12))


def _with_interval(value: float, drawn: np.ndarray, level: float = 0.95) -> Estimate:
    known = drawn[~np.isnan(drawn)]
    if math.isnan(value) or not len(known):
        return Estimate(value)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))
