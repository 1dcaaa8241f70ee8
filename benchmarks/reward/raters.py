"""How right labels are, and whether what was learnt of raters is so."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from benchmarks.reward.crowds import some, votes
from benchmarks.reward.intervals import over_draws, over_units
from harken.reward.consensus import Choices, consensus

HELD = 10
"""Held-back answers from which a rater's accuracy is read."""


def compared(rights: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Of methods' rights (draws, items): accuracies, and differences to majority over draws and over items."""
    out: dict[str, Any] = {}
    for name, found in rights.items():
        gain = found - rights["majority"]
        out[name] = {"accuracy": over_draws(found.mean(1))}
        if name != "majority":
            mean = gain.mean(0)
            out[name]["more_than_majority_over_draws"] = over_draws(gain.mean(1))
            out[name]["more_than_majority_over_items"] = over_units(
                lambda rows, mean=mean: mean[rows].mean(), len(mean)
            )
    return out


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; NaN where a side is all the same."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


def correlated(draws: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> list[float]:
    """The mean over draws of Spearman's correlation of two columns, over raters; NaN is a rater who is not there."""

    def mean(rows: NDArray[np.int64]) -> float:
        found = []
        for one, other in draws:
            there = ~(np.isnan(one[rows]) | np.isnan(other[rows]))
            found.append(spearman(one[rows][there], other[rows][there]))
        return float(np.nanmean(found)) if not np.isnan(found).all() else float("nan")

    return over_units(mean, len(draws[0][0]))


def shares(choices: Choices, values: Tensor, least: int) -> NDArray[np.float64]:
    """The mean of a value of each choice by rater; NaN where there are fewer than `least`."""
    empty = torch.zeros(len(choices.annotators), dtype=torch.float64)
    total, count = (empty.index_add(0, choices.annotator, x * choices.count) for x in (values, torch.ones_like(values)))
    return torch.where(count >= least, total / count, torch.nan).numpy()


def raters(choices: Choices, truth: Sequence[int], kept: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """What kept answers say of raters, and how right they were in the answers that were held back."""
    known, held = some(choices, kept), some(choices, ~kept)
    actual = torch.as_tensor(truth)
    most = votes(known)
    top = (most == most.max(1, keepdim=True).values).double()
    agrees = (top / top.sum(1, keepdim=True))[known.item, known.label]
    was_right = (choices.label == actual[choices.item]).double()
    ease = torch.zeros(len(choices.items), dtype=torch.float64).index_add(0, choices.item, was_right)
    ease = ease / votes(choices).sum(1)
    said_little = np.isnan(shares(known, agrees, 1))
    reliability = np.where(said_little, np.nan, consensus(known).reliability.numpy())
    mask = torch.as_tensor(kept)
    return {
        "reliability": reliability,
        "agreement_with_majority": shares(known, agrees, 1),
        "kept_accuracy": shares(known, was_right[mask], 1),
        "held_accuracy": shares(held, was_right[~mask], HELD),
        "held_accuracy_less_ease": shares(held, (was_right - ease[choices.item])[~mask], HELD),
    }
