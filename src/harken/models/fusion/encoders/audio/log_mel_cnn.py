"""Sounds to tokens: convolutions over mel bands and time, the bands pooled at the end (1912.10211, section 3.2)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder, Sound
from harken.models.fusion.layers import sinusoids
from harken.models.fusion.stream import Stream


@dataclass(frozen=True)
class LogMelCnn(Sound):
    """Groups of two convolutions over bands and frames; the first of each halves the bands and strides over time.

    Attributes:
        widths: channels of each group.
        strides: how many frames each group makes one.
        norm: what keeps the scale. `layer` is over the channels of one place (1607.06450); `batch` over all places of
            a batch that are sound and no filling (1502.03167), which learns faster from few clips, and only for a
            model without a language head.
        pool: `grid` makes a state of each moment that is left; `mean_max` one of them all, the sum of their mean and
            their largest values, as in the paper.
    """

    widths: tuple[int, ...] = (32, 64, 96)
    strides: tuple[int, ...] = (2, 2, 2)
    norm: Literal["layer", "batch"] = "layer"
    pool: Literal["grid", "mean_max"] = "grid"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "audio", mels=1)
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"audio.widths are channels of one group or more, each from 1 up, not {self.widths}")
        if self.widths[-1] % 2:
            raise ValueError(f"the last of audio.widths must be even, not {self.widths[-1]}")
        if len(self.strides) != len(self.widths) or not all(1 <= stride <= 3 for stride in self.strides):
            raise ValueError(
                f"audio.strides are one for each of audio.widths, from 1 to 3 (a kernel's width), not {self.strides}"
            )

    def tokens(self, length: int) -> int:
        """States of a clip of so many frames: what is left of them after each stride, rounded up; or one."""
        if self.pool == "mean_max":
            return min(length, 1)
        for stride in self.strides:
            length = -(-length // stride)
        return length

    def build(self) -> "LogMelCnnEncoder":
        """The encoder, with random weights."""
        return LogMelCnnEncoder(self)


class LogMelCnnEncoder(Encoder):
    """`input_features` (B, F, T), `feature_lengths` (B,) -> states (B, M, D), D the last of the widths."""

    def __init__(self, settings: LogMelCnn):
        super().__init__()
        self.width, self.strides, self.pool = settings.widths[-1], settings.strides, settings.pool
        sizes = (1, *settings.widths)
        each = zip(sizes, settings.widths, settings.strides, strict=False)
        norm = RealBatchNorm if settings.norm == "batch" else PlaceNorm
        self.groups = nn.ModuleList(_Group(size, width, stride, norm) for size, width, stride in each)

    def forward(self, media: Float[Tensor, "B F T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B clips of different length; what lies beyond a clip's length changes nothing."""
        lengths = torch.full((len(media),), media.shape[2], device=media.device) if lengths is None else lengths
        real = torch.arange(media.shape[2], device=media.device) < lengths[:, None]
        states = (self.as_weights(media) * real[:, None])[:, None]
        for group, stride in zip(self.groups, self.strides, strict=True):
            lengths = -(-lengths // stride)
            states, real = group(states, lengths)
        pooled = states.mean(2).transpose(1, 2)
        if self.pool == "mean_max":
            largest = pooled.masked_fill(~real[..., None], -torch.inf).amax(1, keepdim=True)
            whole = Stream(pooled * real[..., None], real).mean()[:, None] + largest
            there = real[:, :1]
            return Stream(whole.masked_fill(~there[..., None], 0.0), there)
        placed = pooled + sinusoids(pooled.shape[1], pooled.shape[2]).to(pooled)
        return Stream(placed * real[..., None], real)


class PlaceNorm(nn.LayerNorm):
    """Over the channels of one place: one over time would let a clip's length, or what fills it, into all."""

    def over(self, states: Float[Tensor, "B C F T"], real: Bool[Tensor, "B T"]) -> Float[Tensor, "B C F T"]:
        """Each place by itself."""
        normed: Tensor = self(states.movedim(1, -1))
        return normed.movedim(-1, 1)


class RealBatchNorm(nn.BatchNorm1d):
    """Over all places of a batch that are sound: what fills a clip up is in no mean and no variance."""

    def over(self, states: Float[Tensor, "B C F T"], real: Bool[Tensor, "B T"]) -> Float[Tensor, "B C F T"]:
        """By the batch in training, by the running statistics in use; what is no sound comes out as anything."""
        if not self.training or bool(real.all()):
            whole: Tensor = self(states.flatten(2))
            return whole.view_as(states)
        placed = states.permute(0, 3, 2, 1)
        rows = self(placed[real].flatten(0, 1))
        normed = rows.new_zeros(placed.shape).masked_scatter(real[..., None, None], rows)
        return normed.permute(0, 3, 2, 1)


class _Group(nn.Module):
    """A convolution that strides, and one with a shortcut around it."""

    def __init__(self, size: int, width: int, stride: int, norm: type[PlaceNorm] | type[RealBatchNorm]):
        super().__init__()
        # A batch's mean takes away whatever a bias adds.
        bias = norm is PlaceNorm
        self.shrink = nn.Conv2d(size, width, 3, stride=(2, stride), padding=1, bias=bias)
        self.refine = nn.Conv2d(width, width, 3, padding=1, bias=bias)
        self.norms = nn.ModuleList(norm(width) for _ in range(2))

    def forward(
        self, states: Float[Tensor, "B C F T"], lengths: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B D f t"], Bool[Tensor, "B t"]]:
        shrunk = self.shrink(states)
        real = torch.arange(shrunk.shape[3], device=states.device) < lengths[:, None]
        # Zero beyond the clip's end before each convolution: else what fills it would leak in through the kernels.
        states = self._scaled(0, shrunk, real)
        return states + self._scaled(1, self.refine(states), real), real

    def _scaled(
        self, which: int, states: Float[Tensor, "B D f t"], real: Bool[Tensor, "B t"]
    ) -> Float[Tensor, "B D f t"]:
        norm = self.norms[which]
        assert isinstance(norm, PlaceNorm | RealBatchNorm)
        return nn.functional.gelu(norm.over(states, real)) * real[:, None, None]
