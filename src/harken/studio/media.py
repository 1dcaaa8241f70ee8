"""Media over HTTP: by hash alone, in parts where a browser asks for parts, and what to draw of sounds and numbers."""

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harken.data.blobs import Blobs
from harken.data.media import audio, image, numbers
from harken.data.media.limits import MediaError
from harken.studio.series import series_shown
from harken.types import Image, Medium, Modality, Numbers

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
MEMORY = 8192
"""Media of which is remembered what was found out."""
MOST_PART = 4 << 20
"""Bytes of one part; who wants more asks again, as players do."""


@dataclass(frozen=True)
class Known:
    """What is known of a medium; never a type that a browser would run."""

    modality: Modality
    type: str
    size: int


class Media:
    """Media as pages ask for them. What was found out of one is kept, since a hash always names the same bytes.

    Args:
        blobs: where they lie.
    """

    def __init__(self, blobs: Blobs):
        self.blobs = blobs
        self.about = lru_cache(MEMORY)(self._about)
        self.peaks = lru_cache(MEMORY)(self._peaks)
        self.part_of = lru_cache(MEMORY)(self._part_of)

    def find(self, sha256: str) -> Known | None:
        """A medium by its hash; None if there is none, or the name is no hash."""
        if not HASH.fullmatch(sha256) or self.blobs.size(sha256) is None:
            return None
        return self.about(sha256)

    def _about(self, sha256: str) -> Known:
        data = self.blobs.read(sha256)
        modality, type_ = _kind(data)
        return Known(modality, type_, len(data))

    def _peaks(self, sha256: str) -> list[float]:
        return audio.peaks(self.blobs.read(sha256), PEAKS)

    def _part_of(self, part: Medium) -> dict[str, Any]:
        url, data = f"/media/{part.sha256}", self.blobs.read(part.sha256)
        if isinstance(part, Image):
            seen = image.header(data)
            return {"type": "image", "url": url, "width": seen.width, "height": seen.height}
        if isinstance(part, Numbers):
            return {"type": "numbers", "url": url, **series_shown(numbers.read(data))}
        heard = audio.header(data)
        return {"type": "audio", "url": url, "peaks": f"{url}/peaks", "seconds": round(heard.frames / heard.rate, 3)}


def _kind(data: bytes) -> tuple[Modality, str]:
    with suppress(MediaError):
        return "image", TYPES[image.header(data).format]
    with suppress(MediaError):
        return "audio", TYPES[audio.header(data).format]
    # Read last, since it refuses what is none of the three.
    numbers.read(data)
    return "numbers", "text/csv; charset=utf-8"


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
    return first, min(last, first + MOST_PART - 1)
