"""Terms that policy gradient methods share: surrogates of the objective, the value loss, masked means.

Every mean is over what it is given. Where gradients are accumulated over parts of a batch, each part's mean counts by
the number of things that it is over (`Loss.weight`: tokens or completions), and the parts give what the whole would.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def tokens_in(mask: Bool[Tensor, "N T"]) -> float:
    """How many tokens a mean over the mask is over."""
    return float(mask.sum())


def masked_mean(values: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, ""]:
    """Mean over the tokens where the mask is on; 0 if there are none. What stands elsewhere is never read."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def completion_mean(values: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, ""]:
    """Mean over the completions that have tokens of each one's mean over its tokens; 0 if none has."""
    means = torch.where(mask, values, 0.0).sum(1) / mask.sum(1).clamp(min=1)
    return means.sum() / mask.any(1).sum().clamp(min=1)


def whiten(values: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, "N T"]:
    """Values with mean 0 and (population) variance 1 over the mask; 0 elsewhere, and everywhere if all are equal."""
    centred = torch.where(mask, values - masked_mean(values, mask), 0.0)
    return centred / (masked_mean(centred.square(), mask) + 1e-8).sqrt()


def policy_gradient(
    logprobs: Float[Tensor, "N T"], advantages: Float[Tensor, "N T"], mask: Bool[Tensor, "N T"]
) -> Float[Tensor, ""]:
    """Minus the mean over completions of sum_t advantage * log-probability: its gradient is the score function's.

    1707.06347, eq. 1 and 2, with the mean over completions. Right only for completions of the policy itself.
    """
    return -(torch.where(mask, advantages, 0.0) * torch.where(mask, logprobs, 0.0)).sum(1).mean()


def clipped_surrogate(
    logprobs: Float[Tensor, "N T"],
    old_logprobs: Float[Tensor, "N T"],
    advantages: Float[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    clip: float,
    clip_high: float | None = None,
) -> tuple[Float[Tensor, "N T"], dict[str, float]]:
    """Minus the clipped surrogate of each token (1707.06347, eq. 7), to be averaged; 0 where the mask is off.

    Args:
        logprobs: of the sampled tokens under the policy now, (N, T).
        old_logprobs: under the policy that sampled them, (N, T).
        advantages: (N, T).
        mask: which tokens count, (N, T).
        clip: epsilon: how far the ratio of probabilities may go from 1 and still be rewarded.
        clip_high: the same upwards, where it differs ("clip-higher", 2503.14476, eq. 8); None for `clip`.

    Returns:
        the loss of each token, and metrics: `clip_fraction`, the share of tokens whose ratio lies outside, and
        `approx_kl`, the k3 estimate of KL(old || new) a token.
    """
    log_ratio = torch.where(mask, logprobs - old_logprobs, 0.0)
    ratio = log_ratio.exp()
    advantages = torch.where(mask, advantages, 0.0)
    low, high = 1 - clip, 1 + (clip if clip_high is None else clip_high)
    loss = -torch.minimum(ratio * advantages, ratio.clamp(low, high) * advantages)
    with torch.no_grad():
        metrics = {
            "clip_fraction": float(masked_mean(((ratio < low) | (ratio > high)).to(ratio.dtype), mask)),
            "approx_kl": float(masked_mean(torch.expm1(log_ratio) - log_ratio, mask)),
        }
    return loss, metrics


def value_loss(
    values: Float[Tensor, "N T"],
    old_values: Float[Tensor, "N T"],
    returns: Float[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    clip: float | None,
) -> Float[Tensor, ""]:
    """Half the mean squared error of the critic, the larger of that with and without its move clipped.

    Args:
        values: the critic now, (N, T).
        old_values: the critic when the rollout was made, (N, T).
        returns: what it is fitted to, (N, T).
        mask: which tokens count, (N, T).
        clip: how far values may move from the old ones; None for no clipping. Not in 1707.06347, but in its code;
            described in 2005.12729, section 3.
    """
    error = torch.where(mask, values - returns, 0.0).square()
    if clip is not None:
        near = old_values + (values - old_values).clamp(-clip, clip)
        error = torch.maximum(error, torch.where(mask, near - returns, 0.0).square())
    return 0.5 * masked_mean(error, mask)
