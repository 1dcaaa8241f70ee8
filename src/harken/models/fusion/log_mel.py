"""Samples to log-mel frames with gradients: what the family's processor computes without (2212.04356, section 2.2)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import WhisperFeatureExtractor

FAINTEST, RANGE = 1e-10, 8.0
"""The least energy of a band; how far below its loudest band a sound is heard, in powers of ten."""


class LogMel(nn.Module):
    """Log-mel frames of samples, as `WhisperFeatureExtractor` makes them, to float tolerance.

    Hann windows around every `hop`-th sample, what lies beyond an end mirrored there; energies summed by mel filters;
    their logarithms held within 8 powers of ten below the sound's largest, and moved to about -1 to 1. What is held at
    that floor has no gradient of its own; the largest, which sets the floor, has theirs.

    Args:
        extractor: the family's feature extractor; says rate, window, hop and mel filters.

    Raises:
        ValueError: if the model hears by another extractor, or by one that adds noise of its own.
    """

    hann: Tensor
    bands: Tensor

    def __init__(self, extractor: Any):
        super().__init__()
        if not isinstance(extractor, WhisperFeatureExtractor) or extractor.dither:
            raise ValueError(
                f"{type(extractor).__name__} makes no log-mel frames that gradients can go through; name "
                "input_features where samples are named, or choose an encoder whose name begins with log_mel"
            )
        self.window, self.hop = extractor.n_fft, extractor.hop_length
        hann = torch.hann_window(self.window, dtype=torch.double)
        self.register_buffer("hann", hann, persistent=False)
        self.register_buffer("bands", torch.from_numpy(extractor.mel_filters).double(), persistent=False)

    def forward(self, samples: Float[Tensor, "n S"], extents: Int[Tensor, " n"]) -> Float[Tensor, "n F T"]:
        """Frames of n sounds; zero beyond each sound's last one.

        Args:
            samples: of each sound, silence behind them.
            extents: samples that the processor read of each, its silence behind short sounds included.
        """
        count, width = samples.shape
        frames = torch.arange(int(extents.max()) // self.hop, device=samples.device)
        inside = torch.arange(self.window, device=samples.device) - self.window // 2
        at = (frames[:, None] * self.hop + inside).abs().expand(count, -1, -1)
        ends = extents[:, None, None]
        at = torch.where(at >= ends, 2 * (ends - 1) - at, at).clamp(0, width - 1)
        heard = samples.gather(1, at.flatten(1)).view(at.shape) * self.hann.to(samples)
        spectrum = torch.fft.rfft(heard)
        # In the samples' own type also where a training multiplies its matrices in another: the processor does so too.
        with torch.autocast(samples.device.type, enabled=False):
            energies = (spectrum.real.square() + spectrum.imag.square()) @ self.bands.to(samples)
        logs = energies.clamp(min=FAINTEST).log10().transpose(1, 2)
        real = (frames < extents[:, None] // self.hop)[:, None]
        loudest = logs.masked_fill(~real, -torch.inf).amax((1, 2), keepdim=True)
        return torch.where(real, (torch.maximum(logs, loudest - RANGE) + 4.0) / 4.0, 0.0)
