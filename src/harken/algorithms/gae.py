"""Generalised advantage estimation."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def gae(
    rewards: Float[Tensor, "N T"],
    values: Float[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    gamma: float,
    lam: float,
) -> tuple[Float[Tensor, "N T"], Float[Tensor, "N T"]]:
    """Advantages and returns of each token (1506.02438, eq. 16).

    A completion's end is terminal, also where it ran out of room: the value after its last token is 0.

    Args:
        rewards: of each token, (N, T).
        values: of the state before each token, (N, T).
        mask: padded on the right, (N, T); what stands outside is never read.
        gamma: discount a token.
        lam: lambda; 0 trusts the values alone, 1 the rewards alone.

    Returns:
        advantages (N, T) and returns, advantages + values, (N, T): what the critic is fitted to. Both are 0 where
        the mask is off.
    """
    rewards, values = torch.where(mask, rewards, 0.0), torch.where(mask, values, 0.0)
    # Right padding holds zeros only, so what comes from beyond a row's end is 0, which is the terminal state's value.
    ahead, next_value = values.new_zeros(len(values)), values.new_zeros(len(values))
    columns = []
    for t in range(values.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        ahead, next_value = delta + gamma * lam * ahead, values[:, t]
        columns.append(ahead)
    advantages = torch.stack(columns[::-1], 1) if columns else torch.zeros_like(values)
    return advantages, advantages + values
