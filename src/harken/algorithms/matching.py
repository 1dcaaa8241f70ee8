"""Image-text matching and its like: rows as they are against rows with a medium of their neighbour's."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from harken.algorithms.task import TaskLoss


@dataclass(frozen=True)
class Matching:
    """Binary cross-entropy of belonging together (2107.07651, equation 4).

    With targets, (B,) of 1 and 0, rows are judged as they are; without, every row belongs together and its swapped
    twin does not.
    """

    def loss(self, outputs: Mapping[str, Tensor], targets: Tensor | None) -> TaskLoss:
        """The sum over rows, the mean of a row's two halves, and how often the side is right."""
        matched, mismatched = outputs["matched"].float(), outputs.get("mismatched")
        if targets is not None:
            goal = targets.to(matched.dtype)
            there = torch.isfinite(goal) & (goal >= 0)
            each = functional.binary_cross_entropy_with_logits(matched[there], goal[there], reduction="sum")
            right = ((matched > 0) == (goal > 0.5))[there]
        elif mismatched is not None:
            there = torch.ones_like(matched, dtype=torch.bool)
            each = (functional.softplus(-matched) + functional.softplus(mismatched.float())).sum() / 2
            right = torch.cat([matched > 0, mismatched < 0])
        else:
            return TaskLoss(matched.sum() * 0.0, 0)
        rows = int(there.sum())
        return TaskLoss(each, rows, {"accuracy": float(right.float().mean())} if rows else {})
