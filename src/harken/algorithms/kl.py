"""How far a policy is from its reference: estimates from samples, a penalty in the reward, a steered weight.

An estimate of the KL and a loss whose gradient is the KL's are two things. As a term of the loss, on the policy's own
samples, the mean gradient of k1 is 0, that of k2 is the gradient of KL(policy || reference), and that of k3 the
gradient of KL(reference || policy) (since the gradient of a probability's logarithm has mean 0 under it).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def k1(
    logprobs: Float[Tensor, "N T"], reference_logprobs: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]
) -> Float[Tensor, "N T"]:
    """log(policy / reference) of each token, in nats; 0 where the mask is off.

    Unbiased for KL(policy || reference) on the policy's own samples, and often negative (Schulman 2020,
    joschu.net/blog/kl-approx.html, k1).

    Args:
        logprobs: of the sampled tokens under the policy, (N, T).
        reference_logprobs: the same under the reference, (N, T).
        mask: which tokens count, (N, T); what stands elsewhere is never read.
    """
    return torch.where(mask, logprobs - reference_logprobs, 0.0)


def k2(
    logprobs: Float[Tensor, "N T"], reference_logprobs: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]
) -> Float[Tensor, "N T"]:
    """Half the square of `k1`: biased, of low variance, never negative (Schulman 2020, k2)."""
    return 0.5 * k1(logprobs, reference_logprobs, mask).square()


def k3(
    logprobs: Float[Tensor, "N T"], reference_logprobs: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]
) -> Float[Tensor, "N T"]:
    """reference / policy - 1 - log(reference / policy): unbiased and never negative (Schulman 2020, k3)."""
    log_ratio = k1(reference_logprobs, logprobs, mask)
    return torch.expm1(log_ratio) - log_ratio


Estimator = Literal["k1", "k2", "k3"]
ESTIMATORS: Mapping[Estimator, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {"k1": k1, "k2": k2, "k3": k3}
)
"""By the names that recipes give them; each takes log-probabilities, the reference's, and the mask."""


def penalised_rewards(
    scores: Float[Tensor, " N"],
    logprobs: Float[Tensor, "N T"],
    reference_logprobs: Float[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    coefficient: float,
) -> Float[Tensor, "N T"]:
    """A reward for each token: -coefficient * k1, and the completion's score on its last token (1909.08593, eq. 2).

    Args:
        scores: of whole completions, (N,).
        logprobs: of the sampled tokens under the policy that sampled them, (N, T).
        reference_logprobs: the same under the reference, (N, T).
        mask: padded on the right, at least one token a row, (N, T).
        coefficient: the weight of the penalty (beta).
    """
    rewards = -coefficient * k1(logprobs, reference_logprobs, mask)
    last = mask.sum(1, keepdim=True) - 1
    return rewards.scatter_add(1, last, scores[:, None].to(rewards.dtype))


@dataclass(frozen=True)
class AdaptiveKL:
    """The weight of the KL penalty, and how it is steered towards a target (1909.08593, section 2.2).

    Attributes:
        initial: the weight at the start.
        target: the KL that is wanted, in nats a completion.
        horizon: completions over which the weight follows; the paper's K_beta is (completions of a step) / horizon.
        adaptive: whether the weight moves at all.
    """

    initial: float = 0.1
    target: float = 6.0
    horizon: int = 10_000
    adaptive: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.initial) and self.initial >= 0):
            raise ValueError(f"kl.initial is a weight: a finite number from 0 up, not {self.initial}")
        if not (math.isfinite(self.target) and self.target > 0) or self.horizon < 1:
            raise ValueError(f"kl.target must be above 0 nats and kl.horizon at least 1 completion, not {self}")

    def update(self, coefficient: float, kl: float, n: int) -> float:
        """The next weight, after `n` completions whose mean KL was `kl`.

        The relative error is clipped to +-0.2. A step longer than the horizon counts as one horizon, so that the
        weight never changes its sign.

        Args:
            coefficient: the weight now.
            kl: mean KL to the reference, in nats a completion.
            n: completions that it was measured on.

        Raises:
            ValueError: if `kl` is not finite.
        """
        if not self.adaptive:
            return coefficient
        if not math.isfinite(kl):
            raise ValueError(f"the KL to the reference is {kl}; the weight of its penalty cannot follow it")
        error = min(max(kl / self.target - 1.0, -0.2), 0.2)
        return coefficient * (1.0 + error * min(n / self.horizon, 1.0))
