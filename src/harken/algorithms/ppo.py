"""Proximal policy optimisation with a critic, for completions (1707.06347; 1909.08593; details: 2403.17031)."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from harken.algorithms.gae import gae
from harken.algorithms.kl import AdaptiveKL, penalised_rewards
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.surrogate import clipped_surrogate, masked_mean, value_loss, whiten
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class PPO:
    """Tokens are actions: the KL penalty rewards each, the score the last; GAE, whitened advantages, clipped moves.

    1707.06347, eq. 7 and 9; rewards as in 1909.08593, eq. 2; advantages as in 1506.02438, eq. 16.

    Attributes:
        clip: how far a token's probability ratio may go from 1 and still be rewarded.
        value_clip: how far the critic may move from what it said when the rollout was made; None for no limit.
        value_coefficient: weight of the critic's loss.
        entropy_coefficient: weight of the policy's entropy, in nats a token.
        gamma: discount a token.
        lam: lambda of GAE.
        epochs: how often each rollout is learnt from.
        group: completions a prompt.
        whiten_advantages: whether a rollout's advantages are made to have mean 0 and variance 1.
        unfinished_score: the score of a completion that ran out of room, in place of its own (2403.17031, the
            "EOS trick", -1 there); None leaves its own.
        kl: the weight of the KL penalty.
    """

    clip: float = 0.2
    value_clip: float | None = 0.2
    value_coefficient: float = 0.1
    entropy_coefficient: float = 0.0
    gamma: float = 1.0
    lam: float = 0.95
    epochs: int = 4
    group: int = 1
    whiten_advantages: bool = True
    unfinished_score: float | None = None
    kl: AdaptiveKL = field(default_factory=AdaptiveKL)
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "entropy", "values"})

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`advantages`, `returns`, `old_values` and `old_logprobs`, each (N, T)."""
        scores = rollout.scores
        if self.unfinished_score is not None:
            scores = torch.where(rollout.finished, scores, self.unfinished_score)
        rewards = penalised_rewards(
            scores, rollout.logprobs, rollout.reference_logprobs, rollout.mask, rollout.kl_coefficient
        )
        advantages, returns = gae(rewards, rollout.values, rollout.mask, self.gamma, self.lam)
        return {
            "advantages": whiten(advantages, rollout.mask) if self.whiten_advantages else advantages,
            "returns": returns,
            "old_values": rollout.values,
            "old_logprobs": rollout.logprobs,
        }

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Clipped surrogate + value loss - entropy, each a mean over the tokens of this batch."""
        logprobs, entropy, values = outputs.logprobs, outputs.entropy, outputs.values
        assert logprobs is not None and entropy is not None and values is not None, "the loop gives what `needs` names"
        mask, labels = batch.completions.mask, batch.labels
        tokens, metrics = clipped_surrogate(logprobs, labels["old_logprobs"], labels["advantages"], mask, self.clip)
        policy, spread = masked_mean(tokens, mask), masked_mean(entropy, mask)
        critic = value_loss(values, labels["old_values"], labels["returns"], mask, self.value_clip)
        metrics |= {"policy_loss": policy.item(), "value_loss": critic.item(), "entropy": spread.item()}
        return Loss(policy + self.value_coefficient * critic - self.entropy_coefficient * spread, metrics)
