"""Sounds as they lie in a folder of zips, and as log-mel frames that a model of the family reads."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from harken.data.media import audio
from harken.data.processor import SAMPLES
from harken.models.predictor import Predictor

Wave = Float32[np.ndarray, " S"]


def recordings_in(archive: Path, rate: int) -> Iterator[tuple[str, Wave]]:
    """The sounds of a zip, by name."""
    with zipfile.ZipFile(archive) as opened:
        for name in sorted(opened.namelist()):
            if name.lower().endswith((".ogg", ".wav", ".flac")):
                yield Path(name).name, audio.decode(opened.read(name), rate)


def log_mels(model: Predictor, waves: Sequence[Wave]) -> list[dict[str, Tensor]]:
    """What the model's processor makes of sounds, each on its own.

    Args:
        model: whose processor.
        waves: at the rate that the model hears.
    """
    extractor = model.processor.hf.feature_extractor
    out = []
    for wave in waves:
        made = extractor(wave, sampling_rate=extractor.sampling_rate, padding="longest", return_tensors="pt")
        features = made["input_features"]
        out.append({"input_features": features, "feature_lengths": torch.tensor([features.shape[2]])})
    return out


def with_samples(model: Predictor, waves: Sequence[Wave]) -> list[dict[str, Tensor]]:
    """As `log_mels`, with the samples that the frames were made of, for an attack that moves these."""
    hf = model.processor.hf
    made = [hf(hf.audio_token, audio=[wave], samples=True, return_tensors="pt") for wave in waves]
    return [{name: each[name] for name in ("input_features", "feature_lengths", *SAMPLES)} for each in made]
