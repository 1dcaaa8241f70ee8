"""Proximal policy optimisation with a critic, for completions (1707.06347; 1909.08593; details: 2403.17031)."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from harken.algorithms.gae import gae
from harken.algorithms.kl import ESTIMATORS, AdaptiveKL, Estimator, penalised_rewards
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.surrogate import clipped_surrogate, masked_mean, tokens_in, value_loss, whiten
from harken.data.batch import Batch, Outputs
from harken.data.bounds import at_least, share


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
        kl_in: whether the KL penalty is a part of each token's reward, and so of the advantages, or a term of the loss.
        kl_estimator: of the term of the loss; the gradient of k2 is right on the policy's own samples
            (`harken.algorithms.kl`).
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
    kl_in: Literal["reward", "loss"] = "reward"
    kl_estimator: Estimator = "k2"
    kl: AdaptiveKL = field(default_factory=AdaptiveKL)
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "entropy", "values"})

    def __post_init__(self) -> None:
        at_least(self, "ppo", clip=0, value_clip=0, value_coefficient=0, entropy_coefficient=0, epochs=1, group=1)
        share(self, "ppo", "gamma", "lam")

    @property
    def _in_loss(self) -> bool:
        return self.kl_in == "loss" and self.kl.initial > 0

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`advantages`, `returns`, `old_values` and `old_logprobs`, each (N, T); `rollout.shaping` is read.

        Where the KL is a term of the loss, `reference_logprobs` (N, T) and `kl_coefficient` (N,) too.
        """
        scores = rollout.scores
        if self.unfinished_score is not None:
            scores = torch.where(rollout.finished, scores, self.unfinished_score)
        coefficient = rollout.kl_coefficient if self.kl_in == "reward" else 0.0
        rewards = penalised_rewards(scores, rollout.logprobs, rollout.reference_logprobs, rollout.mask, coefficient)
        if rollout.shaping is not None:
            rewards = rewards + rollout.shaping
        advantages, returns = gae(rewards, rollout.values, rollout.mask, self.gamma, self.lam)
        labels = {
            "advantages": whiten(advantages, rollout.mask) if self.whiten_advantages else advantages,
            "returns": returns,
            "old_values": rollout.values,
            "old_logprobs": rollout.logprobs,
        }
        if self._in_loss:
            labels["reference_logprobs"] = rollout.reference_logprobs
            labels["kl_coefficient"] = scores.new_full(scores.shape, rollout.kl_coefficient)
        return labels

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Clipped surrogate + value loss - entropy (+ KL), each a mean over the tokens of this batch."""
        logprobs, entropy, values = outputs.logprobs, outputs.entropy, outputs.values
        assert logprobs is not None and entropy is not None and values is not None, "the loop gives what `needs` names"
        mask, labels = batch.completions.mask, batch.labels
        tokens, metrics = clipped_surrogate(logprobs, labels["old_logprobs"], labels["advantages"], mask, self.clip)
        policy, spread = masked_mean(tokens, mask), masked_mean(entropy, mask)
        critic = value_loss(values, labels["old_values"], labels["returns"], mask, self.value_clip)
        metrics |= {"policy_loss": policy.item(), "value_loss": critic.item(), "entropy": spread.item()}
        value = policy + self.value_coefficient * critic - self.entropy_coefficient * spread
        if self._in_loss:
            kl = ESTIMATORS[self.kl_estimator](logprobs, labels["reference_logprobs"], mask)
            value = value + masked_mean(labels["kl_coefficient"][:, None] * kl, mask)
            metrics["kl_token"] = masked_mean(kl, mask).item()
        return Loss(value, metrics, tokens_in(mask))
