"""How the tokens' losses of a batch become one number: what each token weighs."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from harken.algorithms.surrogate import completion_mean, masked_mean, tokens_in

Aggregate = Literal["token", "sequence", "constant"]


def aggregate(
    values: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"], how: Aggregate, length: int | None = None
) -> tuple[Float[Tensor, ""], float]:
    """One number of all tokens, and how many things it is a mean over; completions without tokens do not count.

    Args:
        values: of each token, (N, T).
        mask: which tokens count, (N, T).
        how: `token` is the mean over tokens (2503.14476, eq. 8), `sequence` the mean over completions of their token
            means (2402.03300, eq. 3), `constant` the mean over completions of their sums divided by `length`
            (2503.20783: a long completion's tokens weigh no less than a short one's).
        length: tokens; for `constant` only.

    Raises:
        ValueError: if `constant` is not told its length.
    """
    if how == "token":
        return masked_mean(values, mask), tokens_in(mask)
    completions = mask.any(1).sum()
    if how == "sequence":
        return completion_mean(values, mask), float(completions)
    if length is None:
        raise ValueError("the aggregate `constant` divides by a length, and was given none")
    return torch.where(mask, values, 0.0).sum() / length / completions.clamp(min=1), float(completions)
