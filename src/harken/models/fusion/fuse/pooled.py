"""What the late ways of joining have in common: one vector a modality, made one vector of all of them."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from harken.models.fusion.fuse.fuse import Fuse, Fused, FuseSettings, Streams
from harken.models.fusion.stream import Stream


@dataclass(frozen=True)
class PooledSettings(FuseSettings):
    """One state a medium goes on."""

    def tokens(self, length: int) -> int:
        """One."""
        return 1


class Pooled(Fuse):
    """One vector a modality, the mean of its media's means; joined by what a subclass says.

    A modality that a row lacks stands there as a vector that is learnt for its absence.
    """

    def __init__(self, width: int, modalities: Sequence[str]):
        super().__init__()
        self.modalities = tuple(modalities)
        self.absent = nn.Parameter(torch.zeros(len(self.modalities), width))

    def compress(self, modality: str, media: Stream) -> Stream:
        """The mean of each medium's states."""
        return Stream(media.mean()[:, None], media.present[:, None])

    @abstractmethod
    def join(self, vectors: Float[Tensor, "B M D"], present: Bool[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """One vector of M, one a modality.

        Args:
            vectors: each modality's; what was learnt for its absence where it is absent.
            present: which are there.
        """

    def forward(self, streams: Streams) -> Fused:
        """One shared state, which a decoder reads in the place of each medium."""
        present = torch.stack([streams[m].present for m in self.modalities], 1)
        means = torch.stack([streams[m].mean() for m in self.modalities], 1)
        shared = self.join(torch.where(present[..., None], means, self.absent.to(means.dtype)), present)
        read = {m: Stream(shared[:, None] * s.real[..., None], s.real) for m, s in streams.items()}
        return Fused(shared, read)
