"""How gold follows a proxy that is optimised harder and harder, and the laws of it (Gao 2022, 2210.10760).

The distance is d = sqrt(KL(policy || reference)). Three ways to go it: best of n, reinforcement, and the policy that
reinforcement with a KL penalty would end at where there are finitely many completions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

Form = Literal["best_of_n", "rl"]
EDGES = (0.025, 0.975)


def best_of_n_means(
    proxy: Float[np.ndarray, "P N"], values: Float[np.ndarray, "P N"], sizes: Sequence[int]
) -> Float[np.ndarray, "P S"]:
    """What the best of n by the proxy is worth on average over all ways to draw n of the N samples of a prompt.

    Unbiased for best of n from the policy (2112.09332, appendix I): the sample of rank i is the best of n in
    binom(i - 1, n - 1) of binom(N, n) draws. Of samples that the proxy takes for equal each is chosen as often.

    Args:
        proxy: by what is chosen, of N samples of each of P prompts.
        values: what is averaged: gold, or the proxy itself.
        sizes: S numbers of completions n, each from 1 to N.

    Raises:
        ValueError: if a size is out of range, or a number is not finite.
    """
    count = proxy.shape[1]
    if not (np.isfinite(proxy).all() and np.isfinite(values).all()):
        raise ValueError("proxy and values are finite numbers; leave out prompts whose samples were not all scored")
    if not sizes or min(sizes) < 1 or max(sizes) > count:
        raise ValueError(f"the best of n of {count} samples is known for n from 1 to {count}, not {list(sizes)}")
    order = np.argsort(proxy, axis=1, kind="stable")
    ranked = _tied_means(np.take_along_axis(proxy, order, 1), np.take_along_axis(values, order, 1))
    rank = np.arange(1, count + 1)[:, None]
    n = np.asarray(sizes)[None]
    log_ways = _log_choose(np.maximum(rank - 1, n - 1), n - 1) - _log_choose(np.full_like(n, count), n)
    return ranked @ np.where(rank >= n, np.exp(log_ways), 0.0)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def _tied_means(proxy: Float[np.ndarray, "P N"], values: Float[np.ndarray, "P N"]) -> Float[np.ndarray, "P N"]:
    """Values in the proxy's order, each replaced by the mean of all that the proxy takes for its equals."""
    fresh = np.diff(proxy, axis=1, prepend=-np.inf) > 0
    group = np.cumsum(fresh.reshape(-1)) - 1
    means = np.bincount(group, values.reshape(-1)) / np.bincount(group)
    return means[group].reshape(values.shape)


def regularised_means(
    proxy: Float[np.ndarray, "P N"], values: Float[np.ndarray, "P N"], beta: float
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """KL to the reference in nats, and the mean value, of the policy that is best under a KL penalty of weight beta.

    Where the reference chooses evenly among N completions, E[proxy] - beta * KL is largest for the policy proportional
    to exp(proxy / beta) (2305.18290, eq. 4): what reinforcement ends at if nothing else stops it. beta = 0 is the
    limit without a penalty: the completions that the proxy likes best, evenly.

    Args:
        proxy: of the N completions of each of P prompts.
        values: what is averaged.
        beta: weight of the KL, in units of the proxy a nat.

    Raises:
        ValueError: if beta is below 0.
    """
    if not beta >= 0:
        raise ValueError(f"beta is the weight of a penalty, from 0 up, not {beta}")
    below = proxy - proxy.max(1, keepdims=True)
    weight = np.exp(below / beta) if beta > 0 else (below == 0).astype(np.float64)
    weight = weight / weight.sum(1, keepdims=True)
    logs = np.log(np.where(weight > 0, weight, 1.0) * proxy.shape[1])
    return np.where(weight > 0, weight * logs, 0.0).sum(1), (weight * values).sum(1)


@dataclass(frozen=True, slots=True)
class GaoFit:
    """Gold's rise over the reference as a function of d, with 95 % intervals over rows.

    Attributes:
        form: d (alpha - beta d), or d (alpha - beta log d) for reinforcement (2210.10760, section 3.1).
        alpha: how steeply gold rises at first.
        beta: how fast that is lost.
        alpha_interval: lower and upper bound.
        beta_interval: lower and upper bound.
        turning_interval: of `turning_point`.
        r_squared: the share of the variance of the mean curve that the form explains; below 0 where a constant
            explains more.
    """

    form: Form
    alpha: float
    beta: float
    alpha_interval: tuple[float, float]
    beta_interval: tuple[float, float]
    turning_interval: tuple[float, float]
    r_squared: float

    @property
    def turning_point(self) -> float:
        """The d at which gold is largest; infinite if it never turns."""
        return float(turning_points(self.form, np.array([[self.alpha, self.beta]]))[0])

    def __call__(self, distance: Float[np.ndarray, "*S"]) -> Float[np.ndarray, "*S"]:
        """Gold's rise at these distances."""
        return terms(self.form, distance) @ np.array([self.alpha, self.beta])


def terms(form: Form, distance: Float[np.ndarray, "*S"]) -> Float[np.ndarray, "*S 2"]:
    """What alpha and beta are multiplied by."""
    d = np.asarray(distance, dtype=np.float64)
    loss = d * d if form == "best_of_n" else d * np.log(np.where(d > 0, d, 1.0))
    return np.stack([d, -loss], axis=-1)


def turning_points(form: Form, coefficients: Float[np.ndarray, "B 2"]) -> Float[np.ndarray, " B"]:
    """alpha / (2 beta), or exp(alpha / beta - 1): where the slope is 0.

    With beta of 0 or below nothing turns (infinity); best of n with alpha of 0 or below falls from the start (0).
    """
    alpha, beta = coefficients[:, 0], coefficients[:, 1]
    ratio = np.divide(alpha, beta, out=np.full(len(beta), np.inf), where=beta > 0)
    if form == "best_of_n":
        return np.maximum(ratio / 2, 0.0)
    with np.errstate(over="ignore"):
        return np.exp(ratio - 1)


def fit_gao(
    form: Form,
    distance: Float[np.ndarray, "*P S"],
    rise: Float[np.ndarray, "P S"],
    resamples: int = 2_000,
    seed: int = 0,
) -> GaoFit:
    """The least-squares alpha and beta over all points, with percentile bootstrap intervals over rows.

    Args:
        form: which law.
        distance: sqrt(KL) of S points, one list for all rows or one for each.
        rise: gold less the reference's gold, of P rows: prompts, or repetitions.
        resamples: of the rows.
        seed: of the resampling.

    Raises:
        ValueError: if the points do not settle two numbers, or are not finite and from 0 up.
    """
    d = np.broadcast_to(np.asarray(distance, dtype=np.float64), rise.shape)
    if not (np.isfinite(d).all() and np.isfinite(rise).all() and (d >= 0).all()):
        raise ValueError("distances are finite and from 0 up, and rewards are finite; leave out what was not measured")
    x = terms(form, d)
    squares, along = np.einsum("psi,psj->pij", x, x), np.einsum("psi,ps->pi", x, rise)
    if np.linalg.matrix_rank(squares.sum(0)) < 2:
        raise ValueError(f"two numbers need two different distances above 0, not {sorted(set(d.ravel()))[:3]}")
    found = np.linalg.solve(squares.sum(0), along.sum(0))
    rng, rows = np.random.default_rng(seed), len(rise)
    drawn = rng.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(np.float64)
    again = _solved(np.einsum("bp,pij->bij", drawn, squares), drawn @ along)
    error = float(((rise - x @ found).mean(0) ** 2).sum())
    spread = float(((rise.mean(0) - rise.mean()) ** 2).sum())
    low, high = np.quantile(again, EDGES, axis=0)
    # Not interpolated: between a finite turning point and none there is nothing.
    turns = np.quantile(turning_points(form, again), EDGES, method="nearest")
    return GaoFit(
        form,
        float(found[0]),
        float(found[1]),
        (float(low[0]), float(high[0])),
        (float(low[1]), float(high[1])),
        (float(turns[0]), float(turns[1])),
        1.0 - error / spread if spread > 0 else math.nan,
    )


def _solved(squares: Float[np.ndarray, "B 2 2"], along: Float[np.ndarray, "B 2"]) -> Float[np.ndarray, "B 2"]:
    """Two equations each; a resample that settles nothing gets the least of its solutions."""
    return np.einsum("bij,bj->bi", np.linalg.pinv(squares, hermitian=True), along)
