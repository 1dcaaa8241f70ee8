"""The demo's tasks on real data: handwriting of `mnist`, voices of `fsdd`, one digit each."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from harken.data.media import audio

RATE = 8_000
HELD_OUT_IMAGES = 5_000
"""Pictures at the end of the set that only test prompts show."""
TEST_SPEAKER = "theo"
"""Whom only test prompts let speak."""


@dataclass(frozen=True)
class SpokenDigits:
    """Pictures and sounds of single digits, training and test parts apart by picture and by speaker."""

    images: UInt8[np.ndarray, "n 28 28"]
    rows: tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]
    sounds: tuple[Mapping[str, Sequence[Float32[np.ndarray, " _"]]], Mapping[str, Sequence[Float32[np.ndarray, " _"]]]]
    rate: int = RATE
    digits: int = 1
    speaks: bool = True

    def picture(self, number: str, test: bool, rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        """A scan of a digit."""
        rows = self.rows[test][int(number)]
        return np.repeat(self.images[rows[int(rng.integers(len(rows)))]][..., None], 3, 2)

    def sound(self, number: str, test: bool, rng: np.random.Generator) -> Float32[np.ndarray, " S"]:
        """A recording of a digit."""
        recordings = self.sounds[test][number]
        return recordings[int(rng.integers(len(recordings)))]


def load(root: Path) -> SpokenDigits:
    """Read `mnist/train.npz` and `fsdd/*.zip` below a folder.

    Raises:
        FileNotFoundError: naming what is missing, and the key that names the folder.
    """
    pictures, voices = root / "mnist" / "train.npz", sorted((root / "fsdd").glob("*.zip"))
    if not pictures.is_file() or not voices:
        missing = pictures if not pictures.is_file() else root / "fsdd" / "*.zip"
        raise FileNotFoundError(f"{missing} is not there; give the folder that holds mnist and fsdd: data.root=PATH")
    with np.load(pictures, allow_pickle=False) as arrays:
        names = arrays.files
        images, labels = (arrays["images" if "images" in names else names[0]], arrays["labels"])
        images, labels = np.ascontiguousarray(images), labels.astype(np.int64)
    split = len(labels) - HELD_OUT_IMAGES
    rows = tuple(
        tuple(tuple(int(row) for row in np.flatnonzero(labels == d) if (row >= split) == test) for d in range(10))
        for test in (False, True)
    )
    sounds: tuple[dict[str, list[np.ndarray]], dict[str, list[np.ndarray]]] = ({}, {})
    for archive in voices:
        speaker = archive.stem
        for name, wave in _recordings(archive):
            sounds[speaker == TEST_SPEAKER].setdefault(name.split("_")[0], []).append(wave)
    for test, heard in enumerate(sounds):
        lacking = [str(d) for d in range(10) if str(d) not in heard]
        if lacking:
            part = f"of {TEST_SPEAKER}, the test speaker," if test else "of training speakers"
            raise FileNotFoundError(f"{root / 'fsdd'} has no recordings {part} of {', '.join(lacking)}")
    return SpokenDigits(images, (rows[0], rows[1]), sounds)


def _recordings(archive: Path) -> list[tuple[str, np.ndarray]]:
    """Names and samples of the WAVs in an archive, by name."""
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".wav"))
        return [(Path(name).name, audio.decode(opened.read(name), RATE)) for name in names]
