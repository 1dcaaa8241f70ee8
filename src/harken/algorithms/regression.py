"""Regression: half the squared error, which is a Gaussian's negative log-likelihood at variance 1."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from harken.algorithms.task import TaskLoss, rows_with


@dataclass(frozen=True)
class Regression:
    """(y - f)^2 / (2 spread^2), summed over a row's numbers; rows with a target that is not finite do not count.

    Attributes:
        spread: the unit of errors.
    """

    spread: float = 1.0

    def loss(self, outputs: Mapping[str, Tensor], targets: Tensor | None) -> TaskLoss:
        """The sum over rows, and the mean absolute error in the targets' units.

        Raises:
            ValueError: if targets have another number of values than the head.
        """
        values = outputs["values"]
        there = rows_with(targets, values)
        if targets is None or not bool(there.any()):
            return TaskLoss(values.sum() * 0.0, 0)
        goal = targets[:, None] if targets.dim() == 1 else targets
        if goal.shape != values.shape:
            raise ValueError(f"targets have {goal.shape[1]} numbers a row, and the head gives {values.shape[1]}")
        errors = (values - goal.to(values.dtype))[there]
        metrics = {"absolute_error": float(errors.detach().abs().mean())}
        return TaskLoss((errors / self.spread).square().sum() / 2, int(there.sum()), metrics)
