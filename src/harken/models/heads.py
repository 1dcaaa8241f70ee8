"""Scalar heads on a trunk's hidden states: values for the critic, scores for the reward model."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ScalarHeads(nn.Module):
    """K independent heads of one hidden layer each, computed together: (..., D) -> (..., K).

    The first layers start apart; the last starts at zero, so that a new critic or reward model starts by saying
    nothing. With `prior` a fixed random function of the states is added to each head (1806.03335): members of an
    ensemble then differ where data are silent.
    """

    prior: Tensor | None

    def __init__(self, width: int, heads: int, generator: torch.Generator, prior: float = 0.0):
        super().__init__()
        hidden = max(32, width // 2)
        self.norm = nn.LayerNorm(width)
        self.first = nn.Parameter(torch.randn(heads, width, hidden, generator=generator) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(heads, hidden))
        self.second = nn.Parameter(torch.zeros(heads, hidden))
        fixed = prior * torch.randn(heads, hidden, generator=generator) / hidden**0.5 if prior else None
        self.register_buffer("prior", fixed)
        frozen = torch.randn(heads, width, hidden, generator=generator) / width**0.5 if prior else None
        self.register_buffer("prior_first", frozen)

    def forward(self, states: Float[Tensor, "*B D"]) -> Float[Tensor, "*B K"]:
        """Scores of states."""
        states = states.to(self.first.dtype)
        hidden = torch.tanh(torch.einsum("...d,kdh->...kh", self.norm(states), self.first) + self.bias)
        out = (hidden * self.second).sum(-1)
        if self.prior is not None:
            with torch.no_grad():
                # Not by `norm`: its weights are trained, and the prior function is not.
                plain = nn.functional.layer_norm(states, self.norm.normalized_shape)
                frozen = torch.tanh(torch.einsum("...d,kdh->...kh", plain, self.prior_first))
            out = out + (frozen * self.prior).sum(-1)
        return out


class LinearHeads(nn.Module):
    """K linear functions of standardised states: (..., D) -> (..., K). Fitted, not trained (`reward/linear.py`)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.weight = nn.Parameter(torch.zeros(width, heads))

    def forward(self, states: Float[Tensor, "*B D"]) -> Float[Tensor, "*B K"]:
        """Scores of states."""
        return ((states.to(self.mean.dtype) - self.mean) / self.scale) @ self.weight

    @torch.no_grad()
    def fix(self, mean: Float[Tensor, " D"], scale: Float[Tensor, " D"], weight: Float[Tensor, "D K"]) -> None:
        """Put in what was fitted."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        self.weight.copy_(weight)
