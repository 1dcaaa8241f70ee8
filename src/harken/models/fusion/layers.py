"""Layers that several parts are made of."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def sinusoids(length: int, width: int) -> Float[Tensor, "T D"]:
    """Fixed positions (1706.03762, section 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


def transformer_layers(hidden: int, heads: int, count: int) -> nn.ModuleList:
    """Pre-norm transformer layers (1706.03762; 2002.04745), twice as wide between, without dropout."""
    return nn.ModuleList(
        nn.TransformerEncoderLayer(
            hidden, heads, 2 * hidden, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        for _ in range(count)
    )


def through(
    layers: nn.ModuleList, states: Float[Tensor, "B T D"], real: Bool[Tensor, "B T"] | None
) -> Float[Tensor, "B T D"]:
    """States through layers; what is not real is looked at by none."""
    for layer in layers:
        states = layer(states) if real is None else layer(states, src_key_padding_mask=~real)
    return states
