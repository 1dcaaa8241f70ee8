"""Classification: cross-entropy with whole, smoothed or soft targets."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from harken.algorithms.task import TaskLoss, in_full, rows_with


def soft_targets(targets: Shaped[Tensor, "B ..."], classes: int, smoothing: float) -> Float[Tensor, "B C"]:
    """Targets as distributions: q = (1 - s) p + s / C (1512.00567, section 7).

    Args:
        targets: the number of each row's class, (B,); or a distribution over classes, as of people's votes, (B, C).
        classes: C.
        smoothing: s.

    Raises:
        ValueError: if a class is none of the head's.
    """
    if targets.dim() == 1:
        wrong = targets[(targets < 0) | (targets >= classes)]
        if len(wrong):
            raise ValueError(
                f"a target names class {int(wrong[0])}, and the head has {classes} (0 to {classes - 1}): raise its "
                "classes, or mend the data"
            )
        targets = torch.nn.functional.one_hot(targets, classes)
    elif targets.shape[1] != classes:
        raise ValueError(f"targets are over {targets.shape[1]} classes, and the head has {classes}")
    whole = targets.to(torch.promote_types(targets.dtype, torch.float32))
    return whole * (1 - smoothing) + smoothing / classes


@dataclass(frozen=True)
class CrossEntropy:
    """-sum_c w_c q_c log p_c over the rows that have a target (whole: -1 for none; soft: a row that is not finite).

    Attributes:
        label_smoothing: share of each target that is spread over all classes.
        class_weights: w of each class; 1 if not said.
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()

    def loss(self, outputs: Mapping[str, Tensor], targets: Tensor | None) -> TaskLoss:
        """The sum over rows, in nats, and how often the likeliest class is the target's likeliest."""
        logits = outputs["logits"]
        there = rows_with(targets, logits)
        if targets is None or not bool(there.any()):
            return TaskLoss(logits.sum() * 0.0, 0)
        logits, targets = in_full(logits[there]), targets[there]
        goal = soft_targets(targets, logits.shape[1], self.label_smoothing).to(logits.dtype)
        weighed = goal * goal.new_tensor(self.class_weights) if self.class_weights else goal
        total = -(weighed * logits.log_softmax(1)).sum()
        right = (logits.argmax(1) == goal.argmax(1)).float().mean()
        return TaskLoss(total, int(there.sum()), {"accuracy": float(right)})
