"""Augmentation of a batch's media tensors, as a recipe says it."""

from collections.abc import Mapping
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
        self, media: Mapping[str, Tensor], rows: Mapping[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Media tensors, changed.

        Args:
            media: by name, the rows of all prompts one below the other.
            rows: how many of each belong to each prompt; not read.
            generator: draws.
        """
        out = dict(media)
        if self.image is not None and "pixel_values" in out:
            out["pixel_values"] = self.image(out["pixel_values"], generator)
        if self.audio is not None and "input_features" in out:
            out["input_features"] = self.audio(out["input_features"], out["feature_lengths"], generator)
        return out
