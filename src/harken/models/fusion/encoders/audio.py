"""Sounds to tokens: strided convolutions over log-mel frames, then a small transformer (as Whisper's, 2212.04356)."""

import math
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from harken.models.fusion.config import AudioEncoderConfig


def sinusoids(length: int, width: int) -> Float[Tensor, "T D"]:
    """Fixed positions (1706.03762, section 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


class AudioEncoder(nn.Module):
    """`input_features` (B, F, T), `feature_lengths` (B,) -> features (B, M, D) and which of them are real (B, M)."""

    def __init__(self, config: AudioEncoderConfig, width: int):
        super().__init__()
        hidden = config.hidden
        sizes = [config.mels, hidden, hidden, hidden]
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, 3, stride=2, padding=1) for a, b in pairwise(sizes))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden, config.heads, 2 * hidden, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.project = nn.Linear(hidden, width)

    def forward(
        self, input_features: Float[Tensor, "B F T"], feature_lengths: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B M D"], Bool[Tensor, "B M"]]:
        """Features of B clips of different length; what lies beyond a clip's length changes nothing."""
        states, lengths = input_features, feature_lengths
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
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=~real)
        return self.project(self.norm(states)), real
