"""Sounds to tokens: strided convolutions over log-mel frames, then a small transformer (as Whisper's, 2212.04356)."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder, Sound, divides
from harken.models.fusion.layers import sinusoids, through, transformer_layers
from harken.models.fusion.stream import Stream


@dataclass(frozen=True)
class LogMelTransformer(Sound):
    """Three strided convolutions and a transformer.

    Attributes:
        hidden: width of the encoder.
        layers: transformer layers after the convolutions.
        heads: attention heads of each.
    """

    hidden: int = 64
    layers: int = 1
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "audio", mels=1, layers=0)
        divides(self.heads, self.hidden, "audio")

    def tokens(self, length: int) -> int:
        """States of a clip of so many frames: three convolutions of stride 2, so frames / 8, rounded up."""
        return -(-length // 8)

    def build(self) -> "LogMelTransformerEncoder":
        """The encoder, with random weights."""
        return LogMelTransformerEncoder(self)


class LogMelTransformerEncoder(Encoder):
    """`input_features` (B, F, T), `feature_lengths` (B,) -> states (B, M, D)."""

    def __init__(self, settings: LogMelTransformer):
        super().__init__()
        hidden = self.width = settings.hidden
        sizes = [settings.mels, hidden, hidden, hidden]
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, 3, stride=2, padding=1) for a, b in pairwise(sizes))
        self.layers = transformer_layers(hidden, settings.heads, settings.layers)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, media: Float[Tensor, "B F T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B clips of different length; what lies beyond a clip's length changes nothing."""
        states = self.as_weights(media)
        lengths = torch.full((len(media),), media.shape[2], device=media.device) if lengths is None else lengths
        real = torch.arange(states.shape[2], device=states.device) < lengths[:, None]
        states = states * real[:, None]
        for convolution in self.convolutions:
            # Silence after the clip's end is zero at every layer: else padding would leak in through the kernels.
            lengths = (lengths + 1) // 2
            states = nn.functional.gelu(convolution(states))
            real = torch.arange(states.shape[2], device=states.device) < lengths[:, None]
            states = states * real[:, None]
        states = states.transpose(1, 2)
        states = states + sinusoids(states.shape[1], states.shape[2]).to(states)
        return Stream(self.norm(through(self.layers, states, real)), real)
