"""Which token comes next: temperature, top-k, top-p, min-p, and the inverse of the cumulative distribution."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harken.models.policy import at_least_float32


def top_k(logp: Float[Tensor, "N V"], k: int) -> Float[Tensor, "N V"]:
    """Only the k likeliest tokens (and those as likely as the k-th)."""
    kth = logp.topk(min(k, logp.shape[-1])).values[:, -1:]
    return logp.masked_fill(logp < kth, -torch.inf)


def top_p(logp: Float[Tensor, "N V"], p: float) -> Float[Tensor, "N V"]:
    """Only the smallest set of likeliest tokens whose probabilities reach p (1904.09751, eq. 2)."""
    ordered, order = logp.sort(descending=True)
    before = ordered.exp().cumsum(-1) - ordered.exp()
    return logp.masked_fill(torch.zeros_like(logp, dtype=torch.bool).scatter(-1, order, before >= p), -torch.inf)


def min_p(logp: Float[Tensor, "N V"], p: float) -> Float[Tensor, "N V"]:
    """Only tokens at least p times as likely as the likeliest one (2407.01082, eq. 2)."""
    floor = logp.amax(-1, keepdim=True) + torch.log(torch.tensor(p))
    return logp.masked_fill(logp < floor, -torch.inf)


def choose(logp: Float[Tensor, "N V"], uniform: Float[Tensor, " N"]) -> Int[Tensor, " N"]:
    """One token a row, by the inverse of the cumulative distribution.

    Args:
        logp: log-probabilities up to a constant; -inf where a token may not be taken.
        uniform: a number in [0, 1) for each row.
    """
    cumulative = at_least_float32(logp).softmax(-1).cumsum(-1)
    # The sum may end a rounding below 1: scale the draw, so that the last token with any probability is the last taken.
    drawn = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)
    return drawn[:, 0].clamp(max=logp.shape[-1] - 1)
