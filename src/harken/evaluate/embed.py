"""Pictures and sounds carried within a page, as data: URIs."""

import base64
import struct
from dataclasses import dataclass
from typing import Literal

SMALL = 96  # pixels: a picture whose longer side is below this is shown enlarged
ENLARGED = (216, 112)  # pixels: the width and height that it may then fill

# Where a signature stands, the signature, and what it tells.
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
)


@dataclass(frozen=True, slots=True)
class Embedded:
    """One part of a prompt, ready for the page.

    Attributes:
        kind: what it is.
        text: the words, or the data: URI.
        width: pixels at which a picture is shown; 0 where its own size is right.
        height: the same.
    """

    kind: Literal["text", "image", "audio"]
    text: str
    width: int = 0
    height: int = 0


def media_type(data: bytes) -> str:
    """The MIME type that the first bytes tell.

    Raises:
        ValueError: none that a page can show or play.
    """
    for at, signature, found in SIGNATURES:
        if data[at : at + len(signature)] == signature:
            return found
    known = ", ".join(found.split("/")[1] for _, _, found in SIGNATURES)
    raise ValueError(f"media that begin with {data[:12]!r} cannot be put into a page: give one of {known}")


def data_uri(data: bytes) -> str:
    """The bytes as a data: URI.

    Raises:
        ValueError: as `media_type`.
    """
    return f"data:{media_type(data)};base64,{base64.b64encode(data).decode('ascii')}"


def embed(part: str | bytes) -> Embedded:
    """A part of a prompt for the page; small pictures get a whole-numbered enlargement.

    Raises:
        ValueError: bytes that are no picture and no sound.
    """
    if isinstance(part, str):
        return Embedded("text", part)
    kind = media_type(part)
    if kind.startswith("audio/"):
        return Embedded("audio", data_uri(part))
    if kind != "image/png" or len(part) < 24:
        return Embedded("image", data_uri(part))
    width, height = struct.unpack(">II", part[16:24])  # the header chunk of a PNG is always the first
    small = 0 < width < SMALL and 0 < height < SMALL
    times = max(1, min(ENLARGED[0] // width, ENLARGED[1] // height)) if small else 0
    return Embedded("image", data_uri(part), width * times, height * times)
