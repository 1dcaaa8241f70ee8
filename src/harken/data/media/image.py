"""Pictures: bytes to pixels and back. Takes bytes, never paths; `harken.data.blobs` opens files."""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow

from harken.data.media.limits import MediaError, UnknownFormatError

SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "BMP": "bmp"}
KNOWN = "PNG, JPEG, WebP, GIF or BMP"

ORIENTATION = 0x0112  # EXIF's tag
TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself before it is decoded: size in pixels, and whether it moves."""

    format: str
    width: int
    height: int
    animated: bool


def header(data: bytes) -> Header:
    """The header of an encoded picture; no pixels are decoded.

    Raises:
        MediaError: if the bytes are no picture of a known raster format.
    """
    opened = _open(data)
    # A JPEG with a second picture inside (MPO: depth maps, previews of telephones) is one still picture.
    name = "JPEG" if opened.format == "MPO" else str(opened.format)
    try:
        animated = name != "JPEG" and bool(getattr(opened, "is_animated", False))  # Pillow's object, not ours
    except Exception as error:
        raise MediaError(f"the picture's frames cannot be counted ({error}); save it again as PNG") from error
    return Header(name, opened.width, opened.height, animated)


def decode(data: bytes) -> UInt8[np.ndarray, "H W 3"]:
    """The pixels as a person sees them: turned as EXIF says, on white where transparent, 8 bits a colour.

    Returns:
        (H, W, 3), red green blue, 0 to 255.

    Raises:
        MediaError: if the picture does not decode whole.
    """
    opened = _open(data)
    try:
        opened.load()
        turn = TURNS.get(opened.getexif().get(ORIENTATION, 1))
        picture = _flat(opened)
        return np.array(picture if turn is None else picture.transpose(turn), dtype=np.uint8)
    # Pillow's decoders raise almost anything on hostile bytes (OSError, SyntaxError, struct.error, zlib.error ...).
    except Exception as error:
        raise MediaError(f"the picture does not decode ({error}); it may be cut short: fetch it again") from error


def encode_png(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """The pixels as PNG, without loss. The same pixels give the same bytes (with one version of Pillow).

    Args:
        pixels: (H, W, 3), red green blue, 0 to 255.

    Raises:
        ValueError: if there are no pixels.
    """
    if not pixels.size:
        raise ValueError(f"a picture of shape {pixels.shape} has no pixels")
    out = io.BytesIO()
    Pillow.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=6)
    return out.getvalue()


def _open(data: bytes) -> Pillow.Image:
    try:
        return Pillow.open(io.BytesIO(data), formats=tuple(SUFFIXES))
    except Pillow.UnidentifiedImageError as error:
        if b"<svg" in data[:4096].lower():
            raise MediaError(f"not a picture that harken reads: it is an SVG drawing; save it as {KNOWN}") from error
        raise UnknownFormatError("picture", data, KNOWN) from error
    except Pillow.DecompressionBombError as error:
        raise MediaError(f"the picture claims far too many pixels ({error}); save it smaller") from error
    except Exception as error:
        raise MediaError(f"the picture's header is broken ({error}); save it again as PNG") from error


def _flat(opened: Pillow.Image) -> Pillow.Image:
    if opened.mode.startswith("I"):
        return _eight_bits(opened)
    if not opened.has_transparency_data:
        return opened.convert("RGB")
    seen = opened.convert("RGBA")
    return Pillow.alpha_composite(Pillow.new("RGBA", seen.size, "white"), seen).convert("RGB")


def _eight_bits(opened: Pillow.Image) -> Pillow.Image:
    """16-bit grey scaled to 8 bits; Pillow's own conversion would clip everything above 255 to white."""
    deep = np.asarray(opened).astype(np.int64).clip(0, 65_535)
    grey = ((deep * 255 + 32_767) // 65_535).astype(np.uint8)
    clear = opened.info.get("transparency")
    if isinstance(clear, int):
        grey[deep == clear] = 255
    return Pillow.fromarray(grey).convert("RGB")
