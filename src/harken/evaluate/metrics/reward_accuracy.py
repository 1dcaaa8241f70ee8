"""How often a reward model puts first what was preferred, and how often it could."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harken.evaluate.metrics.bootstrap import Groups, Values, bootstrap_interval, paired
from harken.types import Choice


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of the decided comparisons that were ordered right.

    Attributes:
        rate: the share.
        low: lower bound of its interval.
        high: upper bound.
        decided: comparisons with a winner: what `rate` is a share of.
        ties: comparisons without one, left out.
    """

    rate: float
    low: float
    high: float
    decided: int
    ties: int


def choices_by_score(scores_a: Values, scores_b: Values, tolerance: float = 0.0) -> list[Choice]:
    """What somebody with these scores would answer; scores within the tolerance are a tie.

    Raises:
        ValueError: lists of unequal length, empty, or not finite.
    """
    a, b = paired(scores_a, scores_b)
    return ["tie" if abs(x - y) <= tolerance else "a" if x > y else "b" for x, y in zip(a, b, strict=True)]


def reward_accuracy(
    scores_a: Values,
    scores_b: Values,
    choices: Sequence[Choice],
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    groups: Groups | None = None,
) -> Accuracy:
    """Share of comparisons whose winner has the higher score (RewardBench, arXiv 2403.13787).

    Equal scores count half. Comparisons without a winner ("tie", "both_bad") are left out and counted.

    Args:
        scores_a: (n,) the model's scores of the first completions.
        scores_b: (n,) of the second.
        choices: (n,) what was preferred.
        level: of the bootstrap interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        groups: (n,) labels of what belongs together, as in `bootstrap_interval`.

    Raises:
        ValueError: lists of unequal length, empty, not finite, or without any winner.
    """
    a, b = paired(scores_a, scores_b)
    if len(choices) != a.size:
        raise ValueError(f"{len(choices)} choices for {a.size} pairs of scores: one a pair is needed")
    kept = [at for at, choice in enumerate(choices) if choice in ("a", "b")]
    if not kept:
        raise ValueError(f"none of the {len(choices)} comparisons has a winner: there is nothing to be right about")
    first_won = np.array([choices[at] == "a" for at in kept])
    margin = np.where(first_won, a[kept] - b[kept], b[kept] - a[kept])
    right = np.where(margin == 0, 0.5, (margin > 0).astype(np.float64))
    labels = None if groups is None else [groups[at] for at in kept]
    low, high = bootstrap_interval(right, level=level, resamples=resamples, seed=seed, groups=labels)
    return Accuracy(float(right.mean()), low, high, decided=len(kept), ties=len(choices) - len(kept))


def annotator_ceiling(
    answers: Sequence[Choice], gold: Sequence[Choice], level: float = 0.95, seed: int = 0, groups: Groups | None = None
) -> Accuracy:
    """Accuracy that a perfect model of gold would reach against the annotators' noisy answers.

    It is the agreement of the answers with gold on the same pairs: where gold sees a tie, the perfect model's
    scores are equal and count half. A reward model that is above it has learnt the annotators' noise.

    Args:
        answers: (n,) what the annotators said.
        gold: (n,) what gold says of the same pairs.
        level: of the bootstrap interval.
        seed: of the bootstrap.
        groups: (n,) labels of what belongs together, as in `bootstrap_interval`.

    Raises:
        ValueError: lists of unequal length, empty, or no answer with a winner.
    """
    first = [float(choice == "a") for choice in gold]
    second = [float(choice == "b") for choice in gold]
    return reward_accuracy(first, second, answers, level=level, seed=seed, groups=groups)
