"""A learned weighted mean: z = sum_m w_m x_m over the modalities that are there, w a softmax of learnt numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from harken.models.fusion.fuse.pooled import Pooled, PooledSettings


@dataclass(frozen=True)
class WeightedMean(PooledSettings):
    """A mean of the vectors, with learnt weights."""

    def build(self, width: int, modalities: Sequence[str], decoded: bool) -> "WeightedMeanFuse":
        """The module, with equal weights."""
        return WeightedMeanFuse(width, modalities)


class WeightedMeanFuse(Pooled):
    """One weight a modality; those of what is absent go to the others."""

    def __init__(self, width: int, modalities: Sequence[str]):
        super().__init__(width, modalities)
        self.logits = nn.Parameter(torch.zeros(len(modalities)))

    def join(self, vectors: Float[Tensor, "B M D"], present: Bool[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """The mean over what is there; of a row without any, the mean of what stands for absence."""
        some = present | ~present.any(1, keepdim=True)
        weights = self.logits.masked_fill(~some, -torch.inf).softmax(1)
        return (weights[..., None] * vectors).sum(1)
