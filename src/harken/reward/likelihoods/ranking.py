"""What a ranking says of scores: Plackett-Luce, with ties within a tier and a rest that was not ranked."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LARGEST_TIER = 8
"""Items in one tier; the sum over their orders takes 2^n steps."""


def log_likelihood(
    scores: Float[Tensor, "M I K"],
    tier: Int[Tensor, "M I"],
    tiers: Int[Tensor, " M"],
) -> Float[Tensor, "M K"]:
    """Log-likelihood of M rankings for each of K members.

    The best is chosen of all with probability in proportion to e^score, then the next best of those left, and so on
    (Plackett 1975, "The analysis of permutations"; Luce 1959). A tier says that its items stand between the tiers
    around it and leaves their own order open: its probability is the sum over those orders, computed exactly. Items of
    the rest are below the last tier, in an order that is left open too (a top-k ranking). So one tier with no rest
    says nothing.

    Args:
        scores: of the completions that were shown, by K members, (M, I, K).
        tier: the tier of each, 0 the best, the number of tiers for the rest; -1 where a statement has fewer than I,
            whose score is not read; (M, I).
        tiers: the number of tiers, (M,).

    Raises:
        ValueError: if a tier has more than `LARGEST_TIER` items.
    """
    ranked = (tier >= 0) & (tier < tiers[:, None])
    # Without ties every tier is one item, and all statements are one sum.
    strict = ranked.sum(1) == tiers
    out = scores.new_zeros(len(scores), scores.shape[2])
    if strict.any():
        out = out.index_put((strict,), _without_ties(scores[strict], tier[strict], ranked[strict]))
    tied = (~strict).nonzero()[:, 0].tolist()
    if tied:
        found = [_one(scores[m], tier[m].tolist(), int(tiers[m])) for m in tied]
        out = out.index_put((torch.tensor(tied, device=out.device),), torch.stack(found))
    return out


def _without_ties(
    scores: Float[Tensor, "M I K"], tier: Int[Tensor, "M I"], ranked: Bool[Tensor, "M I"]
) -> Float[Tensor, "M K"]:
    """Each ranked item against itself and all that stands below it."""
    beaten = (tier[:, None, :] >= tier[:, :, None]) & (tier >= 0)[:, None, :]
    # An item that is not ranked is chosen of itself alone here, and left out of the sum.
    beaten = torch.where(ranked[:, :, None], beaten, torch.eye(tier.shape[1], dtype=torch.bool, device=tier.device))
    every = scores[:, None, :, :].masked_fill(~beaten[..., None], -math.inf)
    return torch.where(ranked[..., None], scores - every.logsumexp(2), 0.0).sum(1)


def _one(scores: Float[Tensor, "I K"], places: Sequence[int], count: int) -> Float[Tensor, " K"]:
    """One ranking, tier by tier from the best."""
    total = scores.new_zeros(scores.shape[1])
    for t in range(count):
        mine = [row for row, place in enumerate(places) if place == t]
        below = [row for row, place in enumerate(places) if place > t]
        if len(mine) > LARGEST_TIER:
            raise ValueError(
                f"a tier of a ranking holds {len(mine)} items; more than {LARGEST_TIER} tied ones cannot be summed "
                "over their orders: split the tier, or leave the statement out"
            )
        if mine and below:
            total = total + _tier(scores[mine], scores[below].logsumexp(0))
    return total


def _tier(mine: Float[Tensor, "n K"], below: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
    """Log of the sum over orders of a tier's items, with `below` the log-sum of everything under them.

    Over subsets: f(A), the log-probability that the first |A| chosen are A, is the log-sum over i in A of
    f(A - i) + s_i - D(A - i), where D(B) is the log-sum over everything not in B.
    """
    n = len(mine)
    so_far = [torch.zeros_like(below)]
    # What is left after each subset, added up item by item and never by subtraction, which would cancel.
    left = [below] * (1 << n)
    for subset in range((1 << n) - 2, -1, -1):
        lowest = next(i for i in range(n) if not subset >> i & 1)
        left[subset] = torch.logaddexp(left[subset | 1 << lowest], mine[lowest])
    for subset in range(1, 1 << n):
        ways = [so_far[subset ^ 1 << i] + mine[i] - left[subset ^ 1 << i] for i in range(n) if subset >> i & 1]
        so_far.append(torch.stack(ways).logsumexp(0))
    return so_far[-1]
