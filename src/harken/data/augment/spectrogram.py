"""Spectrograms as they could also have been: bands and moments masked, moved in time, louder or softer."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harken.data.bounds import at_least


@dataclass(frozen=True)
class SpectrogramChange:
    """What is done to log-mel frames (SpecAugment, 1904.08779, section 2, without warping).

    Attributes:
        bands: widest stretch of mel bands that is masked.
        frames: longest stretch of frames that is masked.
        masks: how many of each.
        shift: the frames begin so much later at most, going round at the end; a share of the clip's length.
        gain: spread of what is added to all of a clip's log-mel values.
    """

    bands: int = 8
    frames: int = 40
    masks: int = 1
    shift: float = 0.0
    gain: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, "augment.audio", bands=0, frames=0, masks=0, shift=0, gain=0)

    def __call__(
        self, features: Float[Tensor, "B F T"], lengths: Int[Tensor, " B"], generator: torch.Generator
    ) -> Float[Tensor, "B F T"]:
        """B clips, changed; what lies beyond a clip's length stays as it is."""
        count, bands, frames = features.shape
        at = torch.arange(frames)
        real = at < lengths.cpu()[:, None]
        if self.shift:
            most = (self.shift * lengths.cpu()).long() + 1
            by = (torch.rand(count, generator=generator) * most).long()
            places = torch.where(real, (at - by[:, None]) % lengths.cpu()[:, None].clamp(min=1), at)
            features = features.gather(2, places[:, None].expand(-1, bands, -1).to(features.device))
        if self.gain:
            features = features + (torch.randn(count, 1, 1, generator=generator) * self.gain).to(features)
        hidden = torch.zeros(count, bands, frames, dtype=torch.bool)
        for _ in range(self.masks):
            hidden |= _stretch(bands, min(self.bands, bands), count, generator)[:, :, None]
            hidden |= _stretch(frames, min(self.frames, frames), count, generator)[:, None, :]
        mean = (features * real[:, None].to(features)).sum((1, 2)) / (real.sum(1) * bands).clamp(min=1).to(features)
        hidden = (hidden & real[:, None]).to(features.device)
        return torch.where(hidden, mean[:, None, None], features)


def _stretch(size: int, widest: int, count: int, generator: torch.Generator) -> Tensor:
    wide = (torch.rand(count, generator=generator) * (widest + 1)).long()
    start = (torch.rand(count, generator=generator) * (size - wide + 1)).long()
    at = torch.arange(size)
    return (at >= start[:, None]) & (at < (start + wide)[:, None])
