"""What a picture looks like: colours, edges and coarse layout, as named numbers.

Pixels in, numbers out; nothing is learnt. Edge directions after Dalal and Triggs (2005, "Histograms of oriented
gradients for human detection"), the coarse layout as the low frequencies of a cosine transform.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scipy.fft import dctn

SIDE, CELLS, DIRECTIONS, WAVES = 32, 4, 8, 6


def describe_picture(pixels: UInt8[np.ndarray, "H W 3"]) -> Mapping[str, float]:
    """A picture as named numbers; the same names for every picture, whatever its size."""
    height, width = pixels.shape[:2]
    small = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float64) / 255
    grey = values @ np.array([0.299, 0.587, 0.114])
    opponent = np.stack([grey, values[..., 0] - values[..., 1], values[..., 2] - (values[..., 0] + values[..., 1]) / 2])
    out = {"picture/log width over height": float(np.log(width / height))}
    for name, plane in zip(("grey", "red-green", "blue-yellow"), opponent, strict=True):
        waves = dctn(plane, norm="ortho")[:WAVES, :WAVES] / SIDE
        out |= {f"{name} wave {i} {j}": float(waves[i, j]) for i in range(WAVES) for j in range(WAVES)}
        blocks = _cells(plane)
        out |= {f"{name} spread {n}": float(block.std()) for n, block in enumerate(blocks)}
    return out | _edges(grey)


def _cells(plane: Float[np.ndarray, "S S"]) -> Float[np.ndarray, "C c"]:
    size = SIDE // CELLS
    return plane.reshape(CELLS, size, CELLS, size).swapaxes(1, 2).reshape(CELLS * CELLS, size * size)


def _edges(grey: Float[np.ndarray, "S S"]) -> dict[str, float]:
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    direction = np.floor((np.arctan2(down, right) % np.pi) / np.pi * DIRECTIONS).astype(int) % DIRECTIONS
    out = {}
    for d in range(DIRECTIONS):
        for n, cell in enumerate(_cells(np.where(direction == d, strength, 0.0))):
            out[f"edges {d} cell {n}"] = float(np.sqrt(cell.mean()))
    return out
