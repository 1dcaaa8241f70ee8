"""Attention pooling: learnt queries read each medium, and one reads all that they found (2204.14198, section 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import divides
from harken.models.fusion.fuse.fuse import Fuse, Fused, FuseSettings, Streams
from harken.models.fusion.fuse.resampler import Resampler
from harken.models.fusion.stream import Stream, joined


@dataclass(frozen=True)
class AttentionPooling(FuseSettings):
    """A resampler.

    Attributes:
        latents: learnt queries of each modality: so many states go on of each medium, however long it is.
        layers: times that they read a medium.
        heads: attention heads of each.
    """

    latents: int = 8
    layers: int = 1
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "fuse", latents=1, layers=1, heads=1)

    def tokens(self, length: int) -> int:
        """As many as there are queries."""
        return self.latents

    def build(self, width: int, modalities: Sequence[str], decoded: bool) -> "AttentionPoolingFuse":
        """The module, with random weights."""
        divides(self.heads, width, "fuse")
        return AttentionPoolingFuse(width, modalities, self)


class AttentionPoolingFuse(Fuse):
    """Each medium to its latents; the shared state is one more query's, over the latents of all media of a row.

    A language model reads the latents in the places of the media; the shared state is then for other heads alone, and
    where there are none, `pool` and `marks` learn nothing.
    """

    def __init__(self, width: int, modalities: Sequence[str], settings: AttentionPooling):
        super().__init__()
        self.modalities = tuple(modalities)
        self.compressors = nn.ModuleDict(
            {m: Resampler(width, settings.latents, settings.heads, settings.layers) for m in self.modalities}
        )
        self.marks = nn.Parameter(torch.randn(len(self.modalities), width) * 0.02)
        self.pool = Resampler(width, 1, settings.heads, 1)

    def compress(self, modality: str, media: Stream) -> Stream:
        """The latents of each medium."""
        latents = self.compressors[modality](media)
        return Stream(latents, media.present[:, None].expand(-1, latents.shape[1]))

    def forward(self, streams: Streams) -> Fused:
        """Latents of all modalities, each marked as its own, under one query."""
        each = zip(self.modalities, self.marks, strict=True)
        whole = joined([Stream(streams[m].states + mark, streams[m].real) for m, mark in each])
        return Fused(self.pool(whole)[:, 0], streams)
