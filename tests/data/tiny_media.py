"""Real media, as small as they come, for the tests of this room."""

import io
import struct
import zlib

import numpy as np
import soundfile
from PIL import Image


def picture(seed: int = 0, height: int = 3, width: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def png(seed: int = 0, height: int = 3, width: int = 4) -> bytes:
    return encoded(Image.fromarray(picture(seed, height, width)))


def noise(seed: int = 0, samples: int = 40) -> np.ndarray:
    return (np.random.default_rng(seed).uniform(-0.9, 0.9, samples)).astype(np.float32)


def sound(samples: np.ndarray, rate: int = 8_000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue()


def wav(seed: int = 0, samples: int = 40) -> bytes:
    return sound(noise(seed, samples))


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of some bytes that claims to be huge: a decompression bomb."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(min(width * 3 + 1, 1_000_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
