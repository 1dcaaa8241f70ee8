"""Contrastive losses over a batch of pairs: what belongs together is near, everything else in the batch is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from harken.algorithms.task import TaskLoss


def info_nce(logits: Float[Tensor, "B B"]) -> Float[Tensor, ""]:
    """The symmetric loss over scaled cosines, summed over pairs (2103.00020, figure 3).

    (1/2) sum_i [-log softmax_j(l_ij)_i - log softmax_j(l_ji)_i].
    """
    goal = torch.arange(len(logits), device=logits.device)
    rows = functional.cross_entropy(logits, goal, reduction="sum")
    return (rows + functional.cross_entropy(logits.T, goal, reduction="sum")) / 2


def siglip(logits: Float[Tensor, "B B"]) -> Float[Tensor, ""]:
    """Every pair by itself, summed over the batch's items (2303.15343, algorithm 1): -sum_ij log sigmoid(z_ij l_ij).

    z is 1 where i = j and -1 elsewhere.
    """
    signs = 2 * torch.eye(len(logits), device=logits.device, dtype=logits.dtype) - 1
    return -functional.logsigmoid(signs * logits).sum()


@dataclass(frozen=True)
class Contrastive:
    """Of B rows, those that have both modalities against each other.

    Attributes:
        kind: which of the two losses.
    """

    kind: Literal["infonce", "siglip"] = "infonce"

    def loss(self, outputs: Mapping[str, Tensor], targets: Tensor | None) -> TaskLoss:
        """The sum over pairs, and how often the nearest of the batch is the right one.

        Args:
            outputs: `one` and `other` (B, E) of length 1, `there` (B,), `scale` and `bias`.
            targets: none.
        """
        there = outputs["there"]
        if int(there.sum()) < 2:
            return TaskLoss((outputs["one"].sum() + outputs["scale"]) * 0.0, 0)
        one, other = outputs["one"][there].float(), outputs["other"][there].float()
        logits = outputs["scale"] * one @ other.T + outputs["bias"]
        total = info_nce(logits) if self.kind == "infonce" else siglip(logits)
        nearest = (logits.argmax(1) == torch.arange(len(logits), device=logits.device)).float().mean()
        return TaskLoss(total, len(logits), {"recall": float(nearest)})
