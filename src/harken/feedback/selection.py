"""Which pairs to ask about next: policies of active learning over an ensemble's scores. numpy alone, no torch.

A candidate is a pair of rows: completion a beats b, says head k, with p_k = sigmoid(s_ak - s_bk). What is chosen
depends on the set of pairs and the seed: not on the order of pairs, which side a completion is on, or which head is
called the first.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

Policy = Literal["random", "disagreement", "bald", "badge", "k_centre", "d_optimal", "v_optimal"]
Values = Float[np.ndarray, " M"]
Chances = Float[np.ndarray, "M K"]
Points = Float[np.ndarray, "M D"]
Chosen = Int[np.ndarray, " B"]
MOST = 64
"""Pairs that one batch may have."""
BY_HEADS, BY_FEATURES = ("disagreement", "bald"), ("badge", "k_centre", "d_optimal", "v_optimal")


@dataclass(frozen=True)
class Candidates:
    """What may be asked.

    Attributes:
        pairs: two different rows each; a pair that comes twice counts once.
        scores: of every completion, by each head of the ensemble.
        features: of every completion, from a frozen trunk; for `badge`, `k_centre` and `d_optimal`. The ridge of
            `d_optimal` is meant for features of spread about 1.
        answered: pairs that were answered, as often as they were; none of them is chosen, whatever its sides.
    """

    pairs: Int[np.ndarray, "M 2"]
    scores: Float[np.ndarray, "N K"]
    features: Float[np.ndarray, "N D"] | None = None
    answered: Int[np.ndarray, "Q 2"] = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))

    def __post_init__(self) -> None:
        rows = len(self.scores)
        for name, pairs in (("pairs", self.pairs), ("answered", self.answered)):
            if pairs.size and not (pairs.min() >= 0 and pairs.max() < rows):
                raise ValueError(f"{name}: rows are from 0 to {rows - 1}, as many as there are scores")
            if (pairs[:, 0] == pairs[:, 1]).any():
                at = int(np.flatnonzero(pairs[:, 0] == pairs[:, 1])[0])
                raise ValueError(f"{name}: number {at} compares row {pairs[at, 0]} with itself; leave it out")
        for name, table in (("scores", self.scores), ("features", self.features)):
            if table is not None and not np.isfinite(table).all():
                at = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
                raise ValueError(f"{name}: row {at} holds a number that is not finite")
        if self.features is not None and len(self.features) != rows:
            raise ValueError(f"there are features of {len(self.features)} completions and scores of {rows}")


@dataclass(frozen=True)
class SelectionConfig:
    """How pairs are chosen.

    Attributes:
        policy: `random`; `disagreement` of the heads; `bald`, what an answer says of the heads; `badge`, `k_centre`
            and `d_optimal` weigh in that pairs of a batch should not say the same; so does `v_optimal`, which asks what
            makes the answers to all other candidates surest.
        batch: how many, from 1 to 64; fewer where there are not so many.
        measure: of `disagreement`: variance of p over the heads, or entropy of their votes.
        power: of `bald`: pairs are drawn with chances that go as information to this power; `inf` takes the best.
        keep: of `badge`: so many of the most uncertain pairs are looked at; 0 for all.
        ridge: of `d_optimal` and `v_optimal`: precision of the prior in every direction; of lines on standardised
            features, their penalty.
    """

    policy: Policy = "bald"
    batch: int = 16
    measure: Literal["variance", "vote_entropy"] = "variance"
    power: float = 1.0
    keep: int = 2048
    ridge: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MOST:
            raise ValueError(f"batch is {self.batch}: from 1 to {MOST} pairs are chosen at a time")
        if not self.power > 0 or not self.ridge > 0 or self.keep < 0:
            raise ValueError(f"power and ridge are above 0, keep is from 0 up: {self}")


def select_pairs(candidates: Candidates, config: SelectionConfig, seed: int) -> Int[np.ndarray, " B"]:
    """Places in `candidates.pairs` of the pairs to ask about, in the order of choice; the same for the same seed.

    Raises:
        ValueError: if a policy lacks features, or heads that could disagree.
    """
    _check_policy(candidates, config)
    rows = len(candidates.scores)
    taken = np.unique(_identity(candidates.answered, rows))
    identities, places = np.unique(_identity(candidates.pairs, rows), return_index=True)
    free = ~np.isin(identities, taken)
    identities, places = identities[free], places[free]
    pairs = np.stack([identities // rows, identities % rows], axis=1)
    return places[_choose(pairs, candidates, config, np.random.default_rng(seed))]


def _choose(
    pairs: Int[np.ndarray, "M 2"], candidates: Candidates, config: SelectionConfig, chance: np.random.Generator
) -> Chosen:
    count = min(config.batch, len(pairs))
    if config.policy == "random" or not count:
        return chance.permutation(len(pairs))[:count]
    chances = chances_of(candidates.scores, pairs)
    if config.policy == "disagreement":
        return best(disagreement(chances, config.measure), count, chance)
    if config.policy == "bald":
        return power_sample(information(chances), count, config.power, chance)
    assert candidates.features is not None
    apart = _apart(candidates.features, pairs)
    if config.policy == "badge":
        unsure = -np.abs(chances.mean(axis=1) - 0.5)
        kept = np.sort(best(unsure, config.keep or len(pairs), chance))
        return kept[k_means_plus_plus(gradients(chances[kept], apart[kept]), count, chance)]
    answered = chances_of(candidates.scores, candidates.answered), _apart(candidates.features, candidates.answered)
    if config.policy == "k_centre":
        return k_centre(weighted(chances, apart), count, weighted(*answered))
    known = fisher(answered[0])[:, None] * answered[1]
    precision = config.ridge * np.eye(apart.shape[1]) + answered[1].T @ known
    criterion = d_optimal if config.policy == "d_optimal" else v_optimal
    return criterion(apart, fisher(chances), count, precision)


def chances_of(scores: Float[np.ndarray, "N K"], pairs: Int[np.ndarray, "M 2"]) -> Chances:
    """P(a beats b) by each head (Bradley-Terry), the heads of each pair from low to high."""
    gaps = scores[pairs[:, 0]].astype(np.float64) - scores[pairs[:, 1]]
    # Sums over heads are then the same bits whatever the heads are called.
    return np.sort(0.5 * (1 + np.tanh(gaps / 2)), axis=1)


def disagreement(chances: Chances, measure: Literal["variance", "vote_entropy"] = "variance") -> Values:
    """How far the heads are apart: the variance of p over them, or the entropy of their votes (ties are half a vote).

    Source: Seung 1992, Query by committee; Dagan and Engelson 1995 (vote entropy); Christiano 2017, 1706.03741,
    section 2.2.4 (variance over an ensemble's predictions).
    """
    if measure == "variance":
        return chances.var(axis=1)
    return _entropy(((chances > 0.5) + 0.5 * (chances == 0.5)).mean(axis=1))


def information(chances: Chances) -> Values:
    """Mutual information, in nats, between the answer and which head is right: H(mean p) - mean H(p).

    Source: Houlsby 2011, 1112.5745, eq. 2, with the heads as the posterior.
    """
    return np.maximum(_entropy(chances.mean(axis=1)) - _entropy(chances).mean(axis=1), 0.0)


def best(values: Values, count: int, chance: np.random.Generator) -> Chosen:
    """Places of the largest values, the largest first; among equals by chance."""
    return np.lexsort((chance.random(len(values)), -values))[:count]


def power_sample(values: Values, count: int, power: float, chance: np.random.Generator) -> Chosen:
    """Places drawn without replacement, with chances that go as value to a power; those of value 0 come last.

    The best values of a batch often say the same; drawing spreads it at no cost.

    Source: Kirsch 2021, 2106.12059, section 3 (PowerBALD): the largest of log I + Gumbel(0, 1 / power).
    """
    if np.isinf(power):
        return best(values, count, chance)
    noise = chance.gumbel(size=len(values)) / power
    return np.argsort(-(np.log(np.maximum(values, 1e-300)) + noise), kind="stable")[:count]


def gradients(chances: Chances, apart: Points) -> Points:
    """What the likelier answer would add to the gradient of a linear reward: (1 - p)(x_winner - x_loser).

    Source: Ash 2019, 1906.03671, section 3: the loss's gradient in the last layer, at the label that the model expects.
    """
    mean = chances.mean(axis=1)
    sides = np.where(mean >= 0.5, 1.0, -1.0)
    return (sides * np.minimum(mean, 1 - mean))[:, None] * apart


def k_means_plus_plus(points: Points, count: int, chance: np.random.Generator) -> Chosen:
    """Points drawn one by one, each with a chance that goes as its squared distance from the nearest one drawn.

    Source: Arthur and Vassilvitskii 2007, section 2.2; 1906.03671, algorithm 1. The first goes as its squared length
    and not evenly, so that a batch of one is not a pair by chance.
    """
    squares = np.einsum("md,md->m", points, points)
    nearest = squares.copy()
    open_ = np.ones(len(points), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(count, len(points))):
        # Where all that is left lies on what was drawn, one is as good as another.
        weights = nearest * open_ if (nearest * open_).any() else open_.astype(np.float64)
        sums = np.cumsum(weights)
        pick = int(np.searchsorted(sums, chance.random() * sums[-1], side="right"))
        pick = min(pick, int(np.flatnonzero(weights)[-1]))
        distance = np.maximum(squares + squares[pick] - 2 * (points @ points[pick]), 0.0)
        nearest = np.minimum(nearest, distance) if chosen else distance
        open_[pick] = False
        chosen.append(pick)
    return np.array(chosen, dtype=np.int64)


def weighted(chances: Chances, apart: Points) -> Points:
    """Pairs as points for `k_centre`: x_a - x_b, longer the less sure the answer is (4 p (1 - p), from 0 to 1)."""
    mean = chances.mean(axis=1)
    return (4 * mean * (1 - mean))[:, None] * apart


def k_centre(points: Points, count: int, centres: Float[np.ndarray, "Q D"]) -> Chosen:
    """The farthest point from all centres, which then is one, and again. A point and its negative are the same pair.

    The origin, a pair that says nothing, is a centre from the start, and so are the pairs already answered.

    Source: Sener and Savarese 2017, 1708.00489, algorithm 1; Gonzalez 1985, Theor. Comput. Sci. 38.
    """
    squares = np.einsum("md,md->m", points, points)
    nearest = squares.copy()
    for begin in range(0, len(centres), 256):
        some = centres[begin : begin + 256]
        away = squares[:, None] + np.einsum("qd,qd->q", some, some) - 2 * np.abs(points @ some.T)
        nearest = np.minimum(nearest, away.min(axis=1))
    chosen = np.empty(min(count, len(points)), dtype=np.int64)
    for place in range(len(chosen)):
        pick = chosen[place] = int(np.argmax(nearest))
        away = squares + squares[pick] - 2 * np.abs(points @ points[pick])
        nearest = np.minimum(nearest, np.maximum(away, 0.0))
        nearest[pick] = -np.inf
    # What was chosen stays below all others: a minimum with -inf is -inf.
    return chosen


def fisher(chances: Chances) -> Values:
    """Information of one answer about the gap between two scores: p (1 - p), the mean over the heads."""
    return (chances * (1 - chances)).mean(axis=1)


def d_optimal(apart: Points, weights: Values, count: int, precision: Float[np.ndarray, "D D"]) -> Chosen:
    """The pair that adds most to log det A, where A = precision + sum of w x x^T; A is renewed after each choice.

    log det(A + w x x^T) - log det A = log(1 + w x^T A^-1 x), so the largest w x^T A^-1 x is taken.

    Args:
        apart: x = x_a - x_b of the candidates.
        weights: w, their `fisher` information.
        count: how many to choose.
        precision: of what is known before: the ridge and the pairs already answered.

    Source: Kiefer and Wolfowitz 1960, Can. J. Math. 12 (D-optimality); Sherman and Morrison 1950 for the update;
    Bradley-Terry's information as in Chaloner and Verdinelli 1995, Stat. Sci. 10, section 4.
    """
    inverse = np.linalg.inv(precision)
    variance = np.einsum("md,md->m", apart @ inverse, apart)
    open_ = np.ones(len(apart), dtype=bool)
    chosen = np.empty(min(count, len(apart)), dtype=np.int64)
    for place in range(len(chosen)):
        pick = chosen[place] = int(np.argmax(np.where(open_, weights * variance, -np.inf)))
        open_[pick] = False
        toward = inverse @ apart[pick]
        scale = weights[pick] / (1 + weights[pick] * variance[pick])
        inverse -= scale * np.outer(toward, toward)
        variance = np.maximum(variance - scale * (apart @ toward) ** 2, 0.0)
    return chosen


def v_optimal(apart: Points, weights: Values, count: int, precision: Float[np.ndarray, "D D"]) -> Chosen:
    """The pair that takes most off the variance of all candidates' p; the variance is renewed after each choice.

    p of a candidate t varies by about w_t^2 t^T A^-1 t (A as in `d_optimal`). The sum over candidates is tr(A^-1 M),
    M = sum of w_t^2 t t^T, and an answer to x takes w x^T A^-1 M A^-1 x / (1 + w x^T A^-1 x) off it. Unlike
    `d_optimal` it does not pay for directions in which hardly any pair differs.

    Args:
        apart: as in `d_optimal`.
        weights: as in `d_optimal`.
        count: as in `d_optimal`.
        precision: as in `d_optimal`.

    Source: Schein and Ungar 2007, Mach. Learn. 68, section 2.2 (variance reduction for logistic regression);
    Cohn 1996, cs/9603104.
    """
    inverse = np.linalg.inv(precision)
    target = (weights[:, None] ** 2 * apart).T @ apart
    reach = apart @ inverse
    variance = np.einsum("md,md->m", reach, apart)
    worth = np.einsum("md,md->m", reach @ target, reach)
    open_ = np.ones(len(apart), dtype=bool)
    chosen = np.empty(min(count, len(apart)), dtype=np.int64)
    for place in range(len(chosen)):
        gain = weights * worth / (1 + weights * variance)
        pick = chosen[place] = int(np.argmax(np.where(open_, gain, -np.inf)))
        open_[pick] = False
        toward = inverse @ apart[pick]
        scale = weights[pick] / (1 + weights[pick] * variance[pick])
        along, shared = (apart @ np.stack([toward, inverse @ (target @ toward)], axis=1)).T
        # Of x^T (A^-1 - scale y y^T) M (A^-1 - scale y y^T) x, with y = A^-1 of what was chosen.
        worth = np.maximum(worth - 2 * scale * along * shared + (scale * along) ** 2 * (toward @ target @ toward), 0.0)
        variance = np.maximum(variance - scale * along**2, 0.0)
        inverse -= scale * np.outer(toward, toward)
    return chosen


def _check_policy(candidates: Candidates, config: SelectionConfig) -> None:
    if config.policy in BY_FEATURES and candidates.features is None:
        raise ValueError(f"policy {config.policy!r} needs features of the completions; give them, or take 'bald'")
    if config.policy in BY_HEADS and candidates.scores.shape[1] < 2:
        raise ValueError(
            f"policy {config.policy!r} needs heads that can disagree, and there is one; train a reward model with "
            "reward.model.heads from 2 up, or take 'd_optimal'"
        )


def _identity(pairs: Int[np.ndarray, "M 2"], rows: int) -> Int[np.ndarray, " M"]:
    """One number for a pair, whatever its sides."""
    return pairs.min(axis=1).astype(np.int64) * rows + pairs.max(axis=1)


def _apart(features: Float[np.ndarray, "N D"], pairs: Int[np.ndarray, "M 2"]) -> Points:
    return features[pairs[:, 0]].astype(np.float64) - features[pairs[:, 1]]


def _entropy(chances: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Of a yes with these chances, in nats; 0 log 0 is 0."""
    other = 1 - chances
    tiny = np.finfo(np.float64).tiny
    return -(chances * np.log(np.maximum(chances, tiny)) + other * np.log(np.maximum(other, tiny)))
