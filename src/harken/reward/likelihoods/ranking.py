"""What a ranking says of scores: Plackett-Luce, with ties within a tier and a rest that was not ranked."""

import math

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
    if len(strict) and strict.all():
        return _without_ties(scores, tier, ranked)
    if strict.any():
        out = out.index_put((strict,), _without_ties(scores[strict], tier[strict], ranked[strict]))
    # With ties, statements whose tiers are of the same sizes are summed together, best tier first.
    for sizes, rows in _alike(tier, tiers, ~strict).items():
        mine = torch.tensor(rows, device=scores.device)
        places = torch.where(tier >= 0, tier, tier.shape[1] + 1)[mine].argsort(dim=1, stable=True)[:, : sum(sizes)]
        ordered = scores[mine].gather(1, places[..., None].expand(-1, -1, scores.shape[2]))
        out = out.index_put((mine,), _in_tiers(ordered, sizes))
    return out


def _alike(
    tier: Int[Tensor, "M I"], tiers: Int[Tensor, " M"], wanted: Bool[Tensor, " M"]
) -> dict[tuple[int, ...], list[int]]:
    """Statements by the sizes of their tiers, the rest last."""
    found: dict[tuple[int, ...], list[int]] = {}
    counted = tiers.tolist()
    every = tier.tolist()
    for m in wanted.nonzero()[:, 0].tolist():
        sizes = tuple(every[m].count(t) for t in range(counted[m]))
        rest = sum(place >= counted[m] for place in every[m])
        found.setdefault((*sizes, rest), []).append(m)
    return found


def _without_ties(
    scores: Float[Tensor, "M I K"], tier: Int[Tensor, "M I"], ranked: Bool[Tensor, "M I"]
) -> Float[Tensor, "M K"]:
    """Each ranked item against itself and all that stands below it; only as many items as are ranked at most."""
    most = int(ranked.sum(1).max())
    placed = torch.where(ranked, tier, tier.shape[1]).argsort(dim=1, stable=True)[:, :most]
    counted, level = ranked.gather(1, placed), tier.gather(1, placed)
    beaten = (tier[:, None, :] >= level[:, :, None]) & (tier >= 0)[:, None, :]
    # An item that is not ranked is chosen of itself alone here, and left out of the sum.
    itself = placed[:, :, None] == torch.arange(tier.shape[1], device=tier.device)
    beaten = torch.where(counted[:, :, None], beaten, itself)
    every = scores[:, None, :, :].masked_fill(~beaten[..., None], -math.inf)
    own = scores.gather(1, placed[..., None].expand(-1, -1, scores.shape[2]))
    return torch.where(counted[..., None], own - every.logsumexp(2), 0.0).sum(1)


def _in_tiers(scores: Float[Tensor, "M I K"], sizes: tuple[int, ...]) -> Float[Tensor, "M K"]:
    """Rankings whose items stand in order, so many to a tier and the rest at the end; tier by tier from the best."""
    total, begin = scores.new_zeros(scores.shape[0], scores.shape[2]), 0
    for size in sizes[:-1]:
        if size > LARGEST_TIER:
            raise ValueError(
                f"a tier of a ranking holds {size} items; more than {LARGEST_TIER} tied ones cannot be summed "
                "over their orders: split the tier, or leave the statement out"
            )
        end = begin + size
        if size and end < scores.shape[1]:
            total = total + _tier(scores[:, begin:end], scores[:, end:].logsumexp(1))
        begin = end
    return total


def _tier(mine: Float[Tensor, "M n K"], below: Float[Tensor, "M K"]) -> Float[Tensor, "M K"]:
    """Log of the sum over orders of a tier's items, with `below` the log-sum of everything under them.

    Over subsets: f(A), the log-probability that the first |A| chosen are A, is the log-sum over i in A of
    f(A - i) + s_i - D(A - i), where D(B) is the log-sum over everything not in B.
    """
    n = mine.shape[1]
    so_far = [torch.zeros_like(below)]
    # What is left after each subset, added up item by item and never by subtraction, which would cancel.
    left = [below] * (1 << n)
    for subset in range((1 << n) - 2, -1, -1):
        lowest = next(i for i in range(n) if not subset >> i & 1)
        left[subset] = torch.logaddexp(left[subset | 1 << lowest], mine[:, lowest])
    for subset in range(1, 1 << n):
        ways = [so_far[subset ^ 1 << i] + mine[:, i] - left[subset ^ 1 << i] for i in range(n) if subset >> i & 1]
        so_far.append(torch.stack(ways).logsumexp(0))
    return so_far[-1]
