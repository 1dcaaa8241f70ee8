"""One arm of the experiment as a curve: gold's rise over the reference, and the proxy's, along sqrt(KL)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harken.evaluate.metrics.kl import kl_of_best_of
from harken.evaluate.metrics.overoptimisation import best_of_n_means, regularised_means
from harken.reward.combining import Combining

Optimiser = Literal["best_of_n", "ppo", "regularised"]
MEMBERS = 5
REWARDS = {
    "single": Combining("mean"),
    "worst": Combining("worst"),
    "uncertainty_weighted": Combining("uncertainty_weighted", 0.5),
}
"""`single` is one member that learnt from all comparisons; the others combine `MEMBERS`, each on its bootstrap."""
BETAS = (8.0, 4.0, 2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125, 0.06, 0.0)
"""Weights of the KL penalty, in units of the proxy's spread; 0 is no penalty."""


@dataclass(frozen=True)
class Curve:
    """An arm in one world with one seed.

    Attributes:
        optimiser: how the proxy is optimised.
        comparisons: what the proxy learnt from.
        reward: of `REWARDS`.
        penalty: weight of the KL penalty in training; None where it is what the points differ by, or there is none.
        points: n, the last rollout of a window, or beta.
        distance: sqrt(KL) at each point, of all rows (S,) or of each (P, S).
        gold: rise over the reference of each of P rows (prompts) at S points, (P, S).
        proxy: mean rise over rows, (S,).
    """

    optimiser: Optimiser
    comparisons: int
    reward: str
    penalty: float | None
    points: list[float]
    distance: Float[np.ndarray, "*P S"]
    gold: Float[np.ndarray, "P S"]
    proxy: Float[np.ndarray, " S"]

    def to_json(self) -> dict[str, Any]:
        """As JSON, with four decimals."""
        return {k: np.round(v, 4).tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}


def curve_of(record: dict[str, Any]) -> Curve:
    """What `to_json` wrote."""
    tables = {name: np.array(record[name], dtype=np.float64) for name in ("distance", "gold", "proxy")}
    return Curve(**{**record, **tables})


def sizes_up_to(count: int) -> list[int]:
    """1, 2, 4, ... and the count itself."""
    doubled = [2**i for i in range(int(math.log2(count)) + 1)]
    return doubled if doubled[-1] == count else [*doubled, count]


def selecting(
    comparisons: int, scores: dict[int, list[Float[Tensor, "N K"]]], gold: list[np.ndarray], optimisers: Sequence[str]
) -> list[Curve]:
    """The curves of choosing among completions that are there: best of n, and the policy a KL penalty ends at.

    Args:
        comparisons: what the proxies learnt from.
        scores: by the number of members, of the N completions of each of P prompts.
        gold: of the same, P x (N,).
        optimisers: which.
    """
    makers: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], tuple]] = {
        "best_of_n": _best_of,
        "regularised": _regularised,
    }
    out = []
    for reward, combining in REWARDS.items():
        members = 1 if reward == "single" else MEMBERS
        proxy = torch.stack([combining(each) for each in scores[members]]).double().numpy()
        truth = np.stack(gold)
        rise, gain = truth - truth.mean(1, keepdims=True), proxy - proxy.mean(1, keepdims=True)
        for optimiser in optimisers:
            points, distance, golden, proxied = makers[optimiser](proxy, rise, gain)
            out.append(Curve(optimiser, comparisons, reward, None, points, distance, golden, proxied.mean(0)))  # type: ignore[arg-type]
    return out


def _best_of(proxy: np.ndarray, rise: np.ndarray, gain: np.ndarray) -> tuple:
    sizes = sizes_up_to(proxy.shape[1])
    distance = np.sqrt([kl_of_best_of(n) for n in sizes])
    return [float(n) for n in sizes], distance, best_of_n_means(proxy, rise, sizes), best_of_n_means(proxy, gain, sizes)


def _regularised(proxy: np.ndarray, rise: np.ndarray, gain: np.ndarray) -> tuple:
    found = [(*regularised_means(proxy, rise, beta), regularised_means(proxy, gain, beta)[1]) for beta in BETAS]
    kl, golden, proxied = (np.stack(each, axis=1) for each in zip(*found, strict=True))
    return list(BETAS), np.sqrt(np.maximum(kl, 0.0)), golden, proxied
