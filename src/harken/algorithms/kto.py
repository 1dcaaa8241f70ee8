"""Kahneman-Tversky optimisation: completions that are good or bad by themselves, in no pairs (2402.01306)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from harken.algorithms.objective import Learns, Loss
from harken.algorithms.pairs import EQUAL, log_ratios
from harken.data.batch import Batch, Outputs


def kl_baseline(ratios: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """z_0, the reference point: an estimate of KL(pi || pi_ref), in nats, of which no gradient is taken.

    2402.01306, section 4.2: max(0, the mean of log pi(y' | x) - log pi_ref(y' | x)), with y' an answer to
    another prompt than x.

    Args:
        ratios: those differences for B mismatched completions.
    """
    return ratios.detach().mean().clamp(min=0)


@dataclass(frozen=True)
class KTO:
    """Each judged completion's gain over the reference point is weighed as people weigh gains and losses.

    2402.01306, eq. 7 and 8: with r = log(pi(y | x) / pi_ref(y | x)), the loss of a completion is
    weight * (1 - sigmoid(beta (r - z_0))) if it is desirable, and weight * (1 - sigmoid(beta (z_0 - r))) if not.

    Labels, for M judgements of N completions: `judged` (M,) rows of completions, `desirable` (M,),
    `baseline` (M,) z_0 (`kl_baseline`), `judgement_weight` (M,) if judgements do not count alike, and
    `reference_logprobs` (N, T).

    Attributes:
        beta: how soon gains and losses saturate; 1 / nats.
        desirable_weight: the paper's lambda_D. Where many more completions are desirable than undesirable, or the
            other way round, the two weights make up for it (section 4.2).
        undesirable_weight: the paper's lambda_U.
    """

    beta: float = 0.1
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    reference: ClassVar[bool] = True
    learns: ClassVar[Learns] = "judgements"

    def __post_init__(self) -> None:
        if self.beta <= 0 or min(self.desirable_weight, self.undesirable_weight) < 0:
            raise ValueError(f"kto: beta must be above 0 and the weights not below it: {self}")

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Mean over judgements; the rewards in the metrics are beta (r - z_0)."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        labels = batch.labels
        good = labels["desirable"].bool()
        rewards = self.beta * (log_ratios(outputs.logprobs, batch)[labels["judged"]] - labels["baseline"])
        side = rewards.new_tensor([self.undesirable_weight, self.desirable_weight])[good.long()]
        losses = side * torch.sigmoid(torch.where(good, -rewards, rewards))
        weights = labels.get("judgement_weight", torch.ones_like(rewards)).to(rewards)
        total = weights.sum()
        right = torch.where(rewards.abs() < EQUAL, 0.5, ((rewards > 0) == good).to(rewards))
        counts = {"kl_baseline": float(len(good))}
        metrics = {
            "accuracy": float((weights * right).sum() / total),
            "kl_baseline": float(labels["baseline"].mean()),
        }
        for name, mine in (("desirable_reward", good), ("undesirable_reward", ~good)):
            if mine.any():
                counts[name] = float(weights[mine].sum())
                metrics[name] = float((weights * rewards.detach())[mine].sum() / weights[mine].sum())
        return Loss((weights * losses).sum() / total, metrics, total.item(), counts)
