"""The completions of one prompt, taken together. Groups may be ragged and in any order."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def leave_one_out(values: Float[Tensor, " N"], prompt: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Each completion's value less the mean of the others of its group; 0 for one that is alone.

    Args:
        values: one number a completion, (N,).
        prompt: the prompt of each completion, (N,).
    """
    totals, sizes = group_totals(values, prompt)
    others = (totals - values) / (sizes - 1).clamp(min=1)
    return torch.where(sizes > 1, values - others, 0.0)


def all_equal(values: Float[Tensor, " N"], prompt: Int[Tensor, " N"]) -> Bool[Tensor, " N"]:
    """For each completion whether all values of its group are the same: then none is better than another."""
    groups, row = torch.unique(prompt, return_inverse=True)
    empty = values.new_zeros(len(groups))
    largest = empty.scatter_reduce(0, row, values, "amax", include_self=False)
    smallest = empty.scatter_reduce(0, row, values, "amin", include_self=False)
    return (largest == smallest)[row]


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
