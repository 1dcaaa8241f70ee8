"""Gated cross-attention: media stay beside what reads them, and layers of their own read them (2204.14198, 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import divides
from harken.models.fusion.fuse.fuse import Fused, FuseSettings, ReadBeside, Streams
from harken.models.fusion.fuse.gated_cross_attention import GatedCrossAttention, ReadingLayer
from harken.models.fusion.fuse.resampler import Resampler
from harken.models.fusion.layers import through, transformer_layers
from harken.models.fusion.stream import Stream, joined


@dataclass(frozen=True)
class CrossAttention(FuseSettings):
    """Layers that read media.

    Attributes:
        latents: learnt queries that each medium is resampled to before; 0 for all of its states.
        every: with a language model, every so many of its layers one that reads media follows, from the first on.
        layers: without one, how many there are.
        heads: attention heads of the resampler and, without a language model, of the layers.
    """

    latents: int = 0
    every: int = 1
    layers: int = 2
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "fuse", latents=0, every=1, layers=1, heads=1)

    def tokens(self, length: int) -> int:
        """As many as there are queries, or all."""
        return self.latents or length

    def build(self, width: int, modalities: Sequence[str], decoded: bool) -> "CrossAttentionFuse":
        """The module, with random weights."""
        if self.latents or not decoded:
            divides(self.heads, width, "fuse")
        return CrossAttentionFuse(width, modalities, self, decoded)


class CrossAttentionFuse(ReadBeside):
    """With a language model, its layers read the media. Without one, a state that is learnt reads them.

    That state is alone, or at the head of what a text encoder gives, with which it attends to itself in each layer.
    """

    def __init__(self, width: int, modalities: Sequence[str], settings: CrossAttention, decoded: bool):
        super().__init__()
        self.modalities, self.every = tuple(modalities), settings.every
        heads, resampled = settings.heads, self.modalities if settings.latents else ()
        self.compressors = nn.ModuleDict({m: Resampler(width, settings.latents, heads, 1) for m in resampled})
        # With a language model all that is learnt besides is put into it, by `enter`.
        layers = 0 if decoded else settings.layers
        self.asking = tuple(m for m in self.modalities if m == "text" and len(self.modalities) > 1)
        self.layers = transformer_layers(width, heads, layers if self.asking else 0)
        self.reading = nn.ModuleList(
            GatedCrossAttention(width, heads, heads, width // heads, causal=False) for _ in range(layers)
        )
        self.first = nn.Parameter(torch.randn(1, width) * 0.02) if layers else None
        self.marks = nn.Parameter(torch.randn(len(self.modalities), width) * 0.02) if layers else None
        self.norm = nn.LayerNorm(width) if layers else None

    def enter(self, decoder: Any) -> None:
        """Put layers that read media behind the decoder's own."""
        said = decoder.config
        sizes = (said.hidden_size, said.num_attention_heads, said.num_key_value_heads, said.head_dim)
        for i in range(0, len(decoder.layers), self.every):
            decoder.layers[i] = ReadingLayer(decoder.layers[i], GatedCrossAttention(*sizes, causal=True))

    def compress(self, modality: str, media: Stream) -> Stream:
        """The latents of each medium, or all of its states."""
        if modality not in self.compressors:
            return media
        latents = self.compressors[modality](media)
        return Stream(latents, media.present[:, None].expand(-1, latents.shape[1]))

    def forward(self, streams: Streams) -> Fused:
        """The first state is the shared one; with a language model it is the mean of what the media say."""
        if self.first is None or self.marks is None or self.norm is None:
            return Fused(joined([streams[m] for m in self.modalities]).mean(), streams)
        each = zip(self.modalities, self.marks, strict=True)
        marked = {m: Stream(streams[m].states + mark, streams[m].real) for m, mark in each}
        memory = joined([stream for m, stream in marked.items() if m not in self.asking])
        rows = len(memory.real)
        first = Stream(self.first.expand(rows, 1, -1), memory.real.new_ones(rows, 1))
        asking = joined([first, *(marked[m] for m in self.asking)])
        states = asking.states
        for i, reading in enumerate(self.reading):
            assert isinstance(reading, GatedCrossAttention)
            states = through(self.layers[i : i + 1], states, asking.real)  # none, where the first state is alone
            states = reading(states, *reading.keys_and_values(memory.states, memory.real))
        return Fused(self.norm(states[:, 0]), streams)
