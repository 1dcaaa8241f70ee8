"""Terms that preference objectives share: completions as single numbers, and pairs of them.

A batch holds N completions, each computed once. Its labels name M pairs by their rows: `chosen` and `rejected` (M,),
and `pair_weight` (M,) where pairs do not count alike. Where an objective measures the policy against a reference,
`reference_logprobs` (N, T) are the reference's.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from harken.algorithms.objective import Loss
from harken.data.batch import Batch

EQUAL = 1e-5
"""Rewards that differ by less are the same."""


def sequence_logprobs(logprobs: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, " N"]:
    """log pi(y | x) of whole completions, in nats. What stands where the mask is off is never read."""
    return torch.where(mask, logprobs, 0.0).sum(1)


def mean_logprobs(logprobs: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, " N"]:
    """log pi(y | x) / |y|: nats a token."""
    return sequence_logprobs(logprobs, mask) / mask.sum(1).clamp(min=1)


def log_ratios(logprobs: Float[Tensor, "N T"], batch: Batch) -> Float[Tensor, " N"]:
    """log pi(y | x) - log pi_ref(y | x) of whole completions, in nats."""
    return sequence_logprobs(logprobs - batch.labels["reference_logprobs"], batch.completions.mask)


def margins(values: Float[Tensor, " N"], labels: Mapping[str, Tensor]) -> Float[Tensor, " M"]:
    """By how much each pair's chosen completion has more of something than its rejected one."""
    return values[labels["chosen"]] - values[labels["rejected"]]


def pair_loss(losses: Float[Tensor, " M"], rewards: Float[Tensor, " N"], labels: Mapping[str, Tensor]) -> Loss:
    """The mean of M pairs' losses by their weights, and what to log of the rewards that the policy implies.

    Args:
        losses: one a pair.
        rewards: one a completion; what the objective's margin is made of.
        labels: `chosen`, `rejected`, and `pair_weight` if pairs do not count alike.

    Returns:
        the loss; its weight is the pairs' total weight. Metrics: `accuracy`, the share of pairs whose chosen completion
        has the higher reward (half of it where both have the same); `margin`,
        `chosen_reward` and `rejected_reward`, means.
    """
    weights = labels.get("pair_weight", torch.ones_like(losses)).to(losses)
    total = weights.sum()

    def mean(values: Tensor) -> Tensor:
        return (weights * values).sum() / total

    rewards = rewards.detach()
    margin = margins(rewards, labels)
    metrics = {
        # At the start policy and reference are one, and a margin is rounding.
        "accuracy": mean(torch.where(margin.abs() < EQUAL, 0.5, (margin > 0).to(losses))).item(),
        "margin": mean(margin).item(),
        "chosen_reward": mean(rewards[labels["chosen"]]).item(),
        "rejected_reward": mean(rewards[labels["rejected"]]).item(),
    }
    return Loss(mean(losses), metrics, weight=total.item())
