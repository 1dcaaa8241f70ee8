"""The plot: gold over sqrt(KL), a panel for each world and way to optimise."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.reward.overoptimisation.curve import Curve
from benchmarks.reward.overoptimisation.table import Key, fits, interval, key_of
from harken.evaluate.metrics.overoptimisation import GaoFit
from harken.evaluate.optimisation_plot import Arm, Panel, gold_along_kl

NAMES = {"single": "single", "worst": "worst of 5", "uncertainty_weighted": "uncertainty-weighted"}
LEFT_OUT = {("captions", "regularised")}
"""Of this the tables say enough."""
WAYS = {"best_of_n": "best of n", "ppo": "PPO", "regularised": "KL-regularised"}


def draw_worlds(worlds: Mapping[str, Sequence[Sequence[Curve]]]) -> str:
    """The SVG of the proxies that learnt from the fewest comparisons, where there is most to see."""
    panels = []
    for world, seeds in worlds.items():
        laws = fits(seeds)
        fewest = min(curve.comparisons for curve in seeds[0])
        ways = dict.fromkeys((c.optimiser, c.penalty) for c in seeds[0] if c.comparisons == fewest)
        for optimiser, penalty in ways:
            if (world, optimiser) in LEFT_OUT:
                continue
            name = f"{world}: {WAYS[optimiser]}"
            name += "" if penalty is None else f", KL weight {penalty:g}"
            mine = [
                [c for c in s if (c.optimiser, c.penalty, c.comparisons) == (optimiser, penalty, fewest)] for s in seeds
            ]
            panels.append(_panel(f"{name}\n{fewest} comparisons", mine, laws))
    return gold_along_kl(panels, "Gold against a proxy that is optimised harder and harder")


def _panel(title: str, seeds: Sequence[Sequence[Curve]], laws: Mapping[Key, GaoFit]) -> Panel:
    arms = [_arm([s[n] for s in seeds], laws.get(key_of(first))) for n, first in enumerate(seeds[0])]
    single = [curves[0] for curves in seeds]
    return Panel(title, arms, (_distance(single), np.mean([c.proxy for c in single], axis=0)))


def _distance(curves: Sequence[Curve]) -> np.ndarray:
    return np.mean([np.broadcast_to(c.distance, c.gold.shape).mean(0) for c in curves], axis=0)


def _arm(curves: Sequence[Curve], law: GaoFit | None) -> Arm:
    distance = _distance(curves)
    gold = np.mean([c.gold.mean(0) for c in curves], axis=0)
    band = [interval([c.gold[:, n] for c in curves]) for n in range(len(distance))]
    low, high = zip(*band, strict=True)
    return Arm(NAMES[curves[0].reward], distance, gold, low, high, None if law is None else law(distance))
