"""Early fusion: the states of all media in one sequence.

With a language model they take the places of their placeholder tokens, and its layers do the joining. Without one,
transformer layers over the sequence do, behind a state of their own that reads all others (BERT's first token).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import divides
from harken.models.fusion.fuse.fuse import Fuse, Fused, FuseSettings, Streams
from harken.models.fusion.layers import through, transformer_layers
from harken.models.fusion.stream import Stream, joined


@dataclass(frozen=True)
class Joined(FuseSettings):
    """One sequence.

    Attributes:
        layers: transformer layers over it; none with a language model and two without, if not said.
        heads: attention heads of each.
    """

    layers: int | None = None
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "fuse", layers=0, heads=1)

    def tokens(self, length: int) -> int:
        """All."""
        return length

    def build(self, width: int, modalities: Sequence[str], decoded: bool) -> "JoinedFuse":
        """The module, with random weights."""
        layers = (0 if decoded else 2) if self.layers is None else self.layers
        if layers:
            divides(self.heads, width, "fuse")
        return JoinedFuse(width, modalities, layers, self.heads)


class JoinedFuse(Fuse):
    """[first; states of each modality, marked as its own] through the layers."""

    def __init__(self, width: int, modalities: Sequence[str], layers: int, heads: int):
        super().__init__()
        self.modalities = tuple(modalities)
        self.layers = transformer_layers(width, heads, layers)
        # Without layers a language model does the joining: nothing is marked and nothing is learnt here.
        self.first = nn.Parameter(torch.randn(1, width) * 0.02) if layers else None
        self.marks = nn.Parameter(torch.randn(len(self.modalities), width) * 0.02) if layers else None
        self.norm = nn.LayerNorm(width) if layers else None

    def compress(self, modality: str, media: Stream) -> Stream:
        """All states go on."""
        return media

    def forward(self, streams: Streams) -> Fused:
        """The first state is the shared one; the others go back to their places."""
        if self.first is None or self.marks is None or self.norm is None:
            whole = joined([streams[m] for m in self.modalities])
            return Fused(whole.mean(), streams)
        each = zip(self.modalities, self.marks, strict=True)
        marked = [Stream(streams[m].states + mark, streams[m].real) for m, mark in each]
        rows = len(marked[0].real)
        first = Stream(self.first.expand(rows, 1, -1), marked[0].real.new_ones(rows, 1))
        whole = joined([first, *marked])
        states = self.norm(through(self.layers, whole.states, whole.real))
        lengths = [1, *(s.states.shape[1] for s in marked)]
        parts = states.split(lengths, 1)
        read = {
            m: Stream(part * s.real[..., None], s.real)
            for m, part, s in zip(self.modalities, parts[1:], marked, strict=True)
        }
        return Fused(parts[0][:, 0], read)
