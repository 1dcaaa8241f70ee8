"""Advantage actor-critic, the synchronous form of A3C (1602.01783, section 4)."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from harken.algorithms.gae import gae
from harken.algorithms.kl import AdaptiveKL, penalised_rewards
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.surrogate import masked_mean, tokens_in, value_loss
from harken.data.batch import Batch, Outputs
from harken.data.bounds import at_least, share


@dataclass(frozen=True)
class A2C:
    """Policy gradient with a critic: log-probability * (return - value), no ratio and no clipping.

    1602.01783, section 4 and algorithm S3. A rollout is learnt from once: the gradient is right only for the policy
    that sampled it. With more than one minibatch the later ones are a step or more off it.

    Attributes:
        value_coefficient: weight of the critic's loss.
        entropy_coefficient: weight of the policy's entropy, in nats a token.
        gamma: discount a token.
        lam: lambda of GAE; 1 gives the paper's returns, run to the end of the completion.
        group: completions a prompt.
        kl: the weight of the KL penalty in the reward of each token.
    """

    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.0
    gamma: float = 1.0
    lam: float = 1.0
    group: int = 1
    kl: AdaptiveKL = field(default_factory=AdaptiveKL)
    epochs: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "entropy", "values"})

    def __post_init__(self) -> None:
        at_least(self, "a2c", value_coefficient=0, entropy_coefficient=0, group=1)
        share(self, "a2c", "gamma", "lam")

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`advantages` and `returns`, each (N, T)."""
        rewards = penalised_rewards(
            rollout.scores, rollout.logprobs, rollout.reference_logprobs, rollout.mask, rollout.kl_coefficient
        )
        if rollout.shaping is not None:
            rewards = rewards + rollout.shaping
        advantages, returns = gae(rewards, rollout.values, rollout.mask, self.gamma, self.lam)
        return {"advantages": advantages, "returns": returns}

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Policy gradient + value loss - entropy, each a mean over the tokens of this batch."""
        logprobs, entropy, values = outputs.logprobs, outputs.entropy, outputs.values
        assert logprobs is not None and entropy is not None and values is not None, "the loop gives what `needs` names"
        mask, labels = batch.completions.mask, batch.labels
        advantages = torch.where(mask, labels["advantages"], 0.0)
        policy, spread = -masked_mean(logprobs * advantages, mask), masked_mean(entropy, mask)
        # With no limit on its move the critic's loss does not read the old values.
        critic = value_loss(values, values, labels["returns"], mask, None)
        metrics = {"policy_loss": policy.item(), "value_loss": critic.item(), "entropy": spread.item()}
        value = policy + self.value_coefficient * critic - self.entropy_coefficient * spread
        return Loss(value, metrics, tokens_in(mask))
