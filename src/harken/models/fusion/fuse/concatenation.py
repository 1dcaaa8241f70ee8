"""Concatenation: the modalities' vectors beside each other, through a hidden layer (1705.09406, section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from harken.models.fusion.fuse.pooled import Pooled, PooledSettings


@dataclass(frozen=True)
class Concatenation(PooledSettings):
    """The vectors beside each other."""

    def build(self, width: int, modalities: Sequence[str], decoded: bool) -> "ConcatenationFuse":
        """The module, with random weights."""
        return ConcatenationFuse(width, modalities)


class ConcatenationFuse(Pooled):
    """z = W2 gelu(W1 [x_1; ...; x_M; present])."""

    def __init__(self, width: int, modalities: Sequence[str]):
        super().__init__(width, modalities)
        self.layers = nn.Sequential(
            nn.Linear(len(modalities) * (width + 1), 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def join(self, vectors: Float[Tensor, "B M D"], present: Bool[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """Through the hidden layer, with which modalities are there."""
        joined: Tensor = self.layers(torch.cat([vectors.flatten(1), present.to(vectors.dtype)], 1))
        return joined
