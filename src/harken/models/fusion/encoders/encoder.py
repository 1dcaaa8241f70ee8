"""What an encoder is: tensors of media in, a stream of states of its own width out."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.stream import Stream


class Encoder(nn.Module, ABC):
    """Media of one modality to states.

    Attributes:
        width: of its states.
    """

    width: int

    @abstractmethod
    def forward(self, media: Tensor, lengths: Tensor | None = None) -> Stream:
        """States of n media.

        Args:
            media: as the family's processor makes them, (n, ...).
            lengths: how much of each is real where they differ, (n,).
        """

    def as_weights(self, media: Tensor) -> Tensor:
        """Numbers in the precision of the encoder's weights."""
        return media.to(next(self.parameters()).dtype)


@dataclass(frozen=True)
class Picture(ABC):
    """The settings that every image encoder has: the canvas that pictures are put on.

    Attributes:
        height: canvas height in pixels; pictures are scaled into the canvas, aspect kept.
        width: canvas width in pixels.
        channels: 1 for grey, 3 for colour.
        pixel_mean: taken from pixels in 0..1 before all else; one number, or one for each channel.
        pixel_std: what they are divided by then, likewise.
    """

    height: int = 8
    width: int = 24
    channels: int = 1
    pixel_mean: float | tuple[float, ...] = 0.2
    pixel_std: float | tuple[float, ...] = 0.35

    def __post_init__(self) -> None:
        at_least(self, "image", height=1, width=1, channels=1)
        if self.channels not in (1, 3):
            raise ValueError(f"image.channels is 1 for grey or 3 for colour, not {self.channels}")
        for name, said, low in (("mean", self.pixel_mean, -math.inf), ("std", self.pixel_std, 1e-6)):
            each = said if isinstance(said, tuple) else (said,) * self.channels
            if len(each) != self.channels or not all(math.isfinite(value) and value >= low for value in each):
                above = f" from {low} up" if math.isfinite(low) else ""
                raise ValueError(f"image.pixel_{name} is one number{above}, or one for each channel, not {said}")

    def normalised(self, pixel_values: Tensor) -> Tensor:
        """Pixels as the encoder reads them, from 0..1 or from whole numbers 0..255."""
        scaled = pixel_values if pixel_values.is_floating_point() else pixel_values / 255
        return (scaled - _of_channels(self.pixel_mean, scaled)) / _of_channels(self.pixel_std, scaled)

    @property
    @abstractmethod
    def tokens(self) -> int:
        """States of one picture."""

    @abstractmethod
    def build(self) -> Encoder:
        """The encoder, with random weights."""


@dataclass(frozen=True)
class Sound(ABC):
    """The settings that every audio encoder has.

    Attributes:
        rate: samples a second that the model hears.
        mels: mel bands; 0 for an encoder that reads samples.
        max_seconds: longest clip.
    """

    rate: int = 16_000
    mels: int = 40
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        at_least(self, "audio", rate=1000, mels=0, max_seconds=0.01)

    @property
    def hop(self) -> int:
        """Samples between frames (10 ms)."""
        return self.rate // 100

    @abstractmethod
    def tokens(self, length: int) -> int:
        """States of a clip of so many frames (samples, where there are no mel bands)."""

    @abstractmethod
    def build(self) -> Encoder:
        """The encoder, with random weights."""


def _of_channels(said: float | tuple[float, ...], pixels: Tensor) -> float | Tensor:
    return pixels.new_tensor(said)[:, None, None] if isinstance(said, tuple) else said


@dataclass(frozen=True)
class Series(ABC):
    """The settings that every encoder of numbers has: vectors (one step) and time series.

    Attributes:
        channels: numbers a step, C.
        max_steps: longest series.
        stride: steps that one state stands for.
        mean: taken from the numbers before all else; one for all channels, or one each.
        spread: what they are divided by then; one for all channels, or one each.
    """

    channels: int = 1
    max_steps: int = 256
    stride: int = 1
    mean: float | tuple[float, ...] = 0.0
    spread: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        at_least(self, "numbers", channels=1, max_steps=1, stride=1)
        for name, said in (("mean", self.mean), ("spread", self.spread)):
            each = said if isinstance(said, tuple) else (said,)
            if isinstance(said, tuple) and len(said) != self.channels:
                raise ValueError(f"numbers.{name} has {len(said)} numbers for {self.channels} channels; give one each")
            if not all(math.isfinite(value) and (name == "mean" or value >= 1e-12) for value in each):
                raise ValueError(f"numbers.{name} must be finite{' and above 0' * (name == 'spread')}, not {said}")

    @property
    def inputs(self) -> int:
        """Numbers that one state is made of."""
        return self.channels * self.stride

    def tokens(self, length: int) -> int:
        """States of a series of so many steps."""
        return -(-length // self.stride)

    def stacked(
        self, series: Float[Tensor, "n T C"], lengths: Int[Tensor, " n"] | None
    ) -> tuple[Float[Tensor, "n M S"], Bool[Tensor, "n M"]]:
        """Steps as an encoder reads them: centred, scaled, `stride` of them side by side, zero beyond a series' end.

        Args:
            series: n of them, filled up on the right.
            lengths: steps of each; all, if not said.
        """
        count, steps = series.shape[:2]
        tokens = self.tokens(steps)
        if lengths is None:
            lengths = torch.full((count,), steps, device=series.device)
        real = torch.arange(steps, device=series.device) < lengths[:, None]
        mean, spread = (torch.as_tensor(said, device=series.device).to(series) for said in (self.mean, self.spread))
        whole = series.new_zeros(count, tokens * self.stride, self.channels)
        whole[:, :steps] = torch.where(real[..., None], (series - mean) / spread, 0.0)
        starts = torch.arange(tokens, device=series.device) * self.stride
        return whole.view(count, tokens, self.inputs), starts < lengths[:, None]

    @abstractmethod
    def build(self) -> Encoder:
        """The encoder, with random weights."""


def divides(heads: int, hidden: int, where: str) -> None:
    """Refuse a width that attention heads cannot share.

    Raises:
        ValueError: naming both.
    """
    if heads < 1 or hidden < 1 or hidden % heads:
        raise ValueError(f"{where}.hidden must be a multiple of {where}.heads, not {hidden} and {heads}")
