"""Does choosing pairs save answers? `python -m benchmarks.reward.asking --seeds 20`, in a world with a known truth.

A linear Bradley-Terry preference over 24 features of unlike spread, 300 completions, 4,000 candidate pairs, noisy
answers, an ensemble of 8 linear heads with a prior function each (1806.03335), 16 pairs a round. Shown is the share of
held-out pairs that the mean head orders as the truth does, with its standard error over seeds. It says that policies
do what they are for, and nothing of real people.
"""

import argparse
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from harken.feedback.selection import Candidates, Policy, SelectionConfig, select_pairs

Array = NDArray[np.float64]
WIDTH, COMPLETIONS, PAIRS, HEADS, BATCH, ROUNDS = 24, 300, 4_000, 8, 16, 12
SHOWN = (2, 4, 6, 9, 12)


def fit(apart: Array, wins: Array, prior: Array) -> Array:
    """The most likely weights, ridge 1 around a prior, by Newton with halved steps."""
    sides, weights = 2 * wins - 1, prior

    def loss(at: Array) -> float:
        return float(np.logaddexp(0, -sides * (apart @ at)).sum() + ((at - prior) ** 2).sum() / 2)

    for _ in range(15):
        p = 0.5 * (1 + np.tanh(apart @ weights / 2))
        slope = apart.T @ (p - wins) + weights - prior
        step = np.linalg.solve((apart * (p * (1 - p))[:, None]).T @ apart + np.eye(WIDTH), slope)
        size, now = 1.0, loss(weights)
        while size > 1e-4 and loss(weights - size * step) > now:
            size /= 2
        weights = weights - size * step
        if now - loss(weights) < 1e-6:
            break
    return weights


def drawn(count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Pairs of different rows."""
    first = chance.integers(0, COMPLETIONS, count)
    return np.stack([first, (first + chance.integers(1, COMPLETIONS, count)) % COMPLETIONS], axis=1)


def accuracies(policy: Policy, seed: int) -> list[float]:
    """After each round, on held-out pairs."""
    chance = np.random.default_rng(seed)
    features = chance.normal(size=(COMPLETIONS, WIDTH)) / np.sqrt(np.arange(1, WIDTH + 1))
    truth, heads = 3 * chance.normal(size=WIDTH), chance.normal(size=(HEADS, WIDTH))
    pairs, test = drawn(PAIRS, chance), drawn(3_000, chance)
    prior, asked, wins = heads, np.empty((0, 2), dtype=np.int64), np.empty(0)
    unseen = features[test[:, 0]] - features[test[:, 1]]
    out = []
    for turn in range(ROUNDS):
        candidates = Candidates(pairs, features @ heads.T, features, asked)
        asked = np.concatenate(
            [asked, pairs[select_pairs(candidates, SelectionConfig(policy, BATCH), 100 * seed + turn)]]
        )
        apart = features[asked[:, 0]] - features[asked[:, 1]]
        sure = 0.5 * (1 + np.tanh(apart[-BATCH:] @ truth / 2))
        wins = np.concatenate([wins, chance.random(len(sure)) < sure])
        heads = np.stack([fit(apart, wins, one) for one in prior])
        out.append(float((((unseen @ heads.mean(axis=0)) > 0) == ((unseen @ truth) > 0)).mean()))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    print("| policy | " + " | ".join(f"{BATCH * turn} answers" for turn in SHOWN) + " |")
    print("|---|" + "---|" * len(SHOWN))
    for policy in get_args(Policy):
        found = np.array([accuracies(policy, seed) for seed in range(seeds)])[:, [turn - 1 for turn in SHOWN]]
        error = found.std(axis=0, ddof=1) / seeds**0.5
        cells = (f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(found.mean(axis=0), error, strict=True))
        print(f"| {policy} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
