"""What the curves say: gold at the end of each arm, against the best single model stopped by an oracle; Gao's laws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from benchmarks.reward.overoptimisation.curve import Curve
from harken.evaluate.metrics.overoptimisation import GaoFit, fit_gao

RESAMPLES = 1_000
KEPT_BETAS = (0.0, 0.5, 0.125)
"""Weights of the KL penalty that are arms of their own where the policy is known in closed form."""
Key = tuple[str, int, str, float | None]
Rows = list[Float[np.ndarray, " P"]]


@dataclass(frozen=True)
class Ending:
    """How an arm ends, and how that compares with the best single model stopped by an oracle.

    Attributes:
        optimiser: how the proxy was optimised.
        comparisons: what the proxy learnt from.
        reward: single, or how an ensemble was combined.
        penalty: weight of the KL penalty; None for best of n.
        gold: rise at the end.
        interval: of it, over seeds and rows, 95 %.
        top: the largest rise along the arm's curve, each seed's own.
        oracle: the largest along the single model's curves, each seed's own, with and without a penalty.
        difference: gold - oracle.
        difference_interval: of it.
        seeds: difference of each seed.
    """

    optimiser: str
    comparisons: int
    reward: str
    penalty: float | None
    gold: float
    interval: tuple[float, float]
    top: float
    oracle: float
    difference: float
    difference_interval: tuple[float, float]
    seeds: tuple[float, ...]


def arms(curves: Sequence[Curve]) -> list[Curve]:
    """The arms of one seed by how they end: a closed-form curve is one for each of `KEPT_BETAS`."""
    out = []
    for curve in curves:
        if curve.optimiser != "regularised":
            out.append(curve)
            continue
        for penalty in KEPT_BETAS:
            end = curve.points.index(penalty) + 1
            cut = (curve.points[:end], curve.distance[..., :end], curve.gold[:, :end], curve.proxy[:end])
            out.append(Curve("regularised", curve.comparisons, curve.reward, penalty, *cut))
    return out


def key_of(curve: Curve) -> Key:
    """What an arm is called in every seed."""
    return curve.optimiser, curve.comparisons, curve.reward, curve.penalty


def endings(seeds: Sequence[Sequence[Curve]]) -> list[Ending]:
    """Of all arms, over seeds."""
    every = [{key_of(curve): curve for curve in arms(curves)} for curves in seeds]
    out = []
    for optimiser, comparisons, reward, penalty in every[0]:
        key = (optimiser, comparisons, reward, penalty)
        ends = [found[key].gold[:, -1] for found in every]
        stops = [_stopped(found, optimiser, comparisons) for found in every]
        apart = [end - stop for end, stop in zip(ends, stops, strict=True)]
        tops = [found[key].gold.mean(0).max() for found in every]
        out.append(
            Ending(
                optimiser,
                comparisons,
                reward,
                penalty,
                _mean(ends),
                interval(ends),
                float(np.mean(tops)),
                _mean(stops),
                _mean(apart),
                interval(apart),
                tuple(round(float(each.mean()), 4) for each in apart),
            )
        )
    return out


def _stopped(found: dict[Key, Curve], optimiser: str, comparisons: int) -> Float[np.ndarray, " P"]:
    """Gold of each row where the best single model's mean gold is largest: of all points of all its curves."""
    single = [c for (o, n, reward, _), c in found.items() if (o, n, reward) == (optimiser, comparisons, "single")]
    points = np.concatenate([curve.gold for curve in single], axis=1)
    return points[:, int(points.mean(0).argmax())]


def _mean(rows: Rows) -> float:
    return float(np.mean([each.mean() for each in rows]))


def interval(rows: Rows, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap of the mean over seeds and rows: seeds are drawn again, and rows within each."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(rows), (RESAMPLES, len(rows)))
    means = np.empty(drawn.shape)
    for at, each in enumerate(rows):
        counts = rng.multinomial(len(each), np.full(len(each), 1 / len(each)), size=int((drawn == at).sum()))
        means[drawn == at] = counts @ each / len(each)
    found = means.mean(1)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def fits(seeds: Sequence[Sequence[Curve]]) -> dict[Key, GaoFit]:
    """Gao's law of each curve that has two distances above 0, over all seeds' rows."""
    every = [{key_of(curve): curve for curve in curves} for curves in seeds]
    out = {}
    for key in every[0]:
        mine = [found[key] for found in every]
        distance = np.concatenate([np.broadcast_to(c.distance, c.gold.shape) for c in mine])
        if len(np.unique(distance[distance > 0])) < 2:
            continue
        form = "best_of_n" if key[0] == "best_of_n" else "rl"
        out[key] = fit_gao(form, distance, np.concatenate([curve.gold for curve in mine]))
    return out


def endings_table(found: Sequence[Ending]) -> str:
    """As Markdown."""
    names = (
        "optimiser",
        "comparisons",
        "reward",
        "KL weight",
        "gold at its end",
        "its largest",
        "oracle",
        "end - oracle",
    )
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for one in found:
        weight = "" if one.penalty is None else f"{one.penalty:g}"
        end = f"{one.gold:+.3f} ({one.interval[0]:+.3f} to {one.interval[1]:+.3f})"
        low, high = one.difference_interval
        apart = f"{one.difference:+.3f} ({low:+.3f} to {high:+.3f})"
        cells = (
            one.optimiser,
            one.comparisons,
            one.reward,
            weight,
            end,
            f"{one.top:+.3f}",
            f"{one.oracle:+.3f}",
            apart,
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def fits_table(found: dict[Key, GaoFit]) -> str:
    """As Markdown."""
    lines = [
        "| optimiser | comparisons | reward | KL weight | alpha | beta | turns at d | R^2 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (optimiser, comparisons, reward, penalty), fit in found.items():
        alpha, beta = (
            f"{v:.3f} ({i[0]:.3f} to {i[1]:.3f})"
            for v, i in ((fit.alpha, fit.alpha_interval), (fit.beta, fit.beta_interval))
        )
        weight = "" if penalty is None else f"{penalty:g}"
        turn = f"{fit.turning_point:.2f} ({fit.turning_interval[0]:.2f} to {fit.turning_interval[1]:.2f})"
        cells = (optimiser, comparisons, reward, weight, alpha, beta, turn, f"{fit.r_squared:.2f}")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)
