"""Modality-adversarial: a discriminator tells modalities apart, the encoders below learn to make that hard.

The reversal of gradients between them stands in the model (1505.07818, section 3); the loss is the discriminator's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from harken.algorithms.task import TaskLoss


@dataclass(frozen=True)
class ModalityAdversarial:
    """Cross-entropy of which modality a state is of, a mean over each row's modalities."""

    def loss(self, outputs: Mapping[str, Tensor], targets: Tensor | None) -> TaskLoss:
        """The sum over rows, and how often the discriminator is right.

        Args:
            outputs: `logits` (B, M, M) and `there` (B, M).
            targets: none.
        """
        logits, there = outputs["logits"].float(), outputs["there"]
        count, modalities = there.shape
        goal = torch.arange(modalities, device=logits.device).expand(count, modalities)
        each = functional.cross_entropy(logits.flatten(0, 1), goal.flatten(), reduction="none").view(count, modalities)
        rows = int(there.any(1).sum())
        total = ((each * there).sum(1) / there.sum(1).clamp(min=1)).sum()
        right = (logits.argmax(2) == goal)[there].float()
        return TaskLoss(total, rows, {"told_apart": float(right.mean())} if rows else {})
