"""Augmentation of a batch's media tensors, as a recipe says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harken.data.augment.picture import PictureChange
from harken.data.augment.spectrogram import SpectrogramChange


@dataclass(frozen=True)
class Augmentation:
    """What is done to media in training.

    Attributes:
        image: to pictures on the family's canvas (`pixel_values`); None for nothing.
        audio: to log-mel frames (`input_features`); None for nothing.
    """

    image: PictureChange | None = None
    audio: SpectrogramChange | None = None

    def __call__(
        self, media: Mapping[str, Tensor], numbers: Sequence[int], epoch: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Media tensors, changed.

        Args:
            media: by name, the rows of all examples one below the other.
            numbers: of the examples.
            epoch: from 0.
            generator: draws.
        """
        out = dict(media)
        if self.image is not None and "pixel_values" in out:
            rows = out["pixel_values"]
            named = list(numbers) if len(numbers) == len(rows) else list(range(len(rows)))
            out["pixel_values"] = self.image(rows, named, epoch, generator)
        if self.audio is not None and "input_features" in out:
            out["input_features"] = self.audio(out["input_features"], out["feature_lengths"], generator)
        return out
