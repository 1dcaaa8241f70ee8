"""What a task's loss is: a sum over the rows that have a target, and how many these are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class TaskLoss:
    """A task's loss over a batch.

    Attributes:
        total: the sum over rows.
        rows: how many rows it is over.
        metrics: for the log, means over those rows.
    """

    total: Float[Tensor, ""]
    rows: int
    metrics: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class Task(Protocol):
    """The loss of one head's outputs."""

    def loss(self, outputs: Mapping[str, Tensor], targets: Tensor | None) -> TaskLoss:
        """The loss of B rows.

        Args:
            outputs: the head's, by name.
            targets: (B,) or (B, C); None for a task that needs none, or where the batch has none.
        """
        ...


def rows_with(targets: Tensor | None, like: Float[Tensor, "B ..."]) -> Bool[Tensor, " B"]:
    """Which rows have a target: whole ones from 0 up; others whose numbers are all finite."""
    if targets is None:
        return torch.zeros(len(like), dtype=torch.bool, device=like.device)
    if targets.is_floating_point():
        return torch.isfinite(targets).flatten(1).all(1) if targets.dim() > 1 else torch.isfinite(targets)
    return targets >= 0
