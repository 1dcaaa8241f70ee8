"""Gated fusion: z = sum_m g_m * tanh(W_m x_m), the gates a function of all modalities (GMU, 1702.01992, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from harken.models.fusion.fuse.pooled import Pooled, PooledSettings


@dataclass(frozen=True)
class Gated(PooledSettings):
    """Each modality's vector behind a gate."""

    def build(self, width: int, modalities: Sequence[str], decoded: bool) -> "GatedFuse":
        """The module, with random weights."""
        return GatedFuse(width, modalities)


class GatedFuse(Pooled):
    """h_m = tanh(W_m x_m), g_m = sigmoid(U_m [x_1; ...; x_M]), z = sum_m g_m * h_m."""

    def __init__(self, width: int, modalities: Sequence[str]):
        super().__init__(width, modalities)
        count = len(modalities)
        self.states = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
        self.gates = nn.Linear(count * width, count * width)

    def join(self, vectors: Float[Tensor, "B M D"], present: Bool[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """The gated sum over what is there; an absent modality's gate is shut."""
        states = torch.stack([layer(vectors[:, i]) for i, layer in enumerate(self.states)], 1).tanh()
        gates = self.gates(vectors.flatten(1)).view_as(vectors).sigmoid()
        return (gates * states * present[..., None]).sum(1)
