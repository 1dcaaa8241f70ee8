"""The completions of one prompt, taken together. Groups may be ragged and in any order."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def group_totals(
    values: Float[Tensor, " N"], prompt: Int[Tensor, " N"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """For each completion the sum of `values` over its group, and the group's size.

    Args:
        values: one number a completion, (N,).
        prompt: the prompt of each completion, (N,).
    """
    groups, row = torch.unique(prompt, return_inverse=True)
    totals = values.new_zeros(len(groups)).index_add(0, row, values)
    sizes = values.new_zeros(len(groups)).index_add(0, row, torch.ones_like(values))
    return totals[row], sizes[row]
