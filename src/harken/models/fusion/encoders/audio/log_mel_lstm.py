"""Sounds to tokens: stacked log-mel frames through LSTMs that read both ways (1303.5778; stacking as in 1507.06947)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder, Sound
from harken.models.fusion.recurrent import Recurrent, halves
from harken.models.fusion.stream import Stream


@dataclass(frozen=True)
class LogMelLstm(Sound):
    """Bidirectional LSTMs over stacked frames.

    Attributes:
        stack: how many frames make one step.
        hidden: width of the states, half of it in each direction.
        layers: LSTMs, one upon the other.
    """

    stack: int = 8
    hidden: int = 96
    layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "audio", mels=1, stack=1, hidden=2, layers=1)
        halves(self.hidden, True, "audio")

    def tokens(self, length: int) -> int:
        """States of a clip of so many frames: one for each stack, the last perhaps not full."""
        return -(-length // self.stack)

    def build(self) -> "LogMelLstmEncoder":
        """The encoder, with random weights."""
        return LogMelLstmEncoder(self)


class LogMelLstmEncoder(Encoder):
    """`input_features` (B, F, T), `feature_lengths` (B,) -> states (B, M, D)."""

    def __init__(self, settings: LogMelLstm):
        super().__init__()
        self.width, self.stack = settings.hidden, settings.stack
        self.lstm = Recurrent("lstm", settings.mels * settings.stack, settings.hidden, settings.layers, True)
        self.norm = nn.LayerNorm(settings.hidden)

    def forward(self, media: Float[Tensor, "B F T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B clips of different length; what lies beyond a clip's length changes nothing."""
        clips, bands, frames = media.shape
        media = self.as_weights(media)
        lengths = torch.full((clips,), frames, device=media.device) if lengths is None else lengths
        real = torch.arange(frames, device=media.device) < lengths[:, None]
        missing = media.new_zeros(clips, bands, -frames % self.stack)
        whole = torch.cat([media * real[:, None], missing], 2)
        steps = whole.transpose(1, 2).reshape(clips, -1, bands * self.stack)
        read = self.lstm(steps, -(-lengths // self.stack))
        return Stream(self.norm(read.states) * read.real[..., None], read.real)
