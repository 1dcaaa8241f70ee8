"""Media over HTTP: by hash alone, in parts where a browser asks for parts, and a sound's peaks to draw."""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harken.data.blobs import Blobs
from harken.data.media import audio, image
from harken.data.media.limits import MediaError

HASH = re.compile(r"[0-9a-f]{64}")
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "WAV": "audio/wav",
    "FLAC": "audio/flac",
    "OGG": "audio/ogg",
    "MP3": "audio/mpeg",
}
PEAKS = 200


@dataclass(frozen=True)
class Medium:
    """Bytes with their type; never a type that a browser would run."""

    data: bytes
    type: str


def read_medium(blobs: Blobs, sha256: str) -> Medium | None:
    """A medium by its hash; None if there is none, or the name is no hash."""
    if not HASH.fullmatch(sha256) or not blobs.path(sha256).is_file():
        return None
    data = blobs.read(sha256)
    return Medium(data, TYPES[_format(data)])


def _format(data: bytes) -> str:
    try:
        return image.header(data).format
    except MediaError:
        return audio.header(data).format


def part(size: int, asked: str | None) -> tuple[int, int] | None:
    """The first and the last byte that a Range header asks for; None for all, or where it is not understood.

    Raises:
        ValueError: if there are no such bytes.
    """
    found = RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        first, last = size - length, size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    if first > last or first >= size:
        raise ValueError(f"there are bytes 0 to {size - 1}")
    return first, last


def peaks_of(data: bytes, count: int = PEAKS) -> list[float]:
    """The largest of each of `count` stretches of a sound, full scale 1, to draw it by."""
    rate = audio.header(data).rate
    samples = np.abs(audio.decode(data, rate))
    edges = np.linspace(0, len(samples), min(count, len(samples)) + 1).astype(int)
    return [round(float(samples[a:b].max()), 3) for a, b in pairwise(edges.tolist())]
