"""Heat on pictures, as PNG: orange speaks for the answer, blue against it; attention is green. The rest is grey."""

import numpy as np
from jaxtyping import Float, UInt8

from harken.data.media.image import encode_png

FOR, AGAINST, LOOKED = (230, 97, 1), (33, 102, 199), (0, 158, 115)
"""Told apart by people with any colour vision, on dark and on light."""
WIDE, LARGEST, MOST = 336, 448, 16
"""Pixels: what a small picture is enlarged to, how wide and high a large one may be; and how often it is enlarged."""
STRONGEST, LOOKED_AT = 0.9, 0.7
"""How much of a picture the strongest heat covers, and the strongest attention."""


def overlay(
    picture: UInt8[np.ndarray, "H W 3"], heat: Float[np.ndarray, "R C"], attention: bool = False, strength: float = 1.0
) -> bytes:
    """A picture in faint grey with heat laid over it.

    Args:
        picture: red green blue.
        heat: on a grid of its own, the strongest with the most colour.
        attention: whether it is a share of attention, which has no sign.
        strength: of the strongest heat's colour.
    """
    rows, columns = _size(picture.shape[0], picture.shape[1])
    grey = _stretched(picture.mean(2) / 255, rows, columns)
    base = np.repeat((60 + 150 * grey)[..., None], 3, 2)
    largest = float(np.abs(heat).max())
    shade = _stretched(heat / largest if largest else heat, rows, columns)[..., None]
    colour = np.where(shade >= 0, np.array(LOOKED if attention else FOR), np.array(AGAINST))
    cover = LOOKED_AT * shade**2 if attention else strength * STRONGEST * np.abs(shade) ** 0.75
    return encode_png(np.rint(base * (1 - cover) + colour * cover).astype(np.uint8))


def as_picture(frames: Float[np.ndarray, "F T"]) -> UInt8[np.ndarray, "F T 3"]:
    """A spectrogram as a grey picture, low pitches at the bottom."""
    low, high = float(frames.min()), float(frames.max())
    grey = (frames[::-1] - low) / max(high - low, 1e-9)
    return np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, 2)


def _size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns that it is shown with: whole-numbered enlargement, or shrunk to fit."""
    times = min(MOST, WIDE // width, WIDE // (2 * height))
    if times >= 1:
        return height * times, width * times
    shrink = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _stretched(values: Float[np.ndarray, "R C"], rows: int, columns: int) -> Float[np.ndarray, "H W"]:
    """The nearest value for each place of a larger or smaller grid."""
    down = np.arange(rows) * values.shape[0] // rows
    across = np.arange(columns) * values.shape[1] // columns
    return values[down[:, None], across[None]]
