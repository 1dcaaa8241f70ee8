"""Where the numbers of a picture's tensors lie on the picture, whatever its processor does with it.

Processors scale, cut, tile, pack and pad. Nothing here knows how: a picture that grows brighter from left to right, and
one that does so from top to bottom, are sent through the processor, with a black and a white one; each number of the
tensors then says how far from the left and from the top it was taken. Exact for pictures up to 255 pixels a side, and
to a 255th of a side above.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from harken.data.batch import EncodedPrompt
from harken.data.blobs import Blobs
from harken.data.media import image
from harken.data.processor import Processor
from harken.evaluate.explain.reading import bytes_of, in_place_of, parts_of
from harken.types import Image, Prompt

LONGEST = 56
"""Cells along the longer side of a heat map, at most."""
SEEN = 0.05
"""How much a number must change from black to white, relative to the one that changes most, to be a pixel's."""


@dataclass(frozen=True)
class Places:
    """Where each number of a tensor was taken.

    Attributes:
        picture: which picture of the prompt, from 0; -1 for what is of none (padding).
        x: from the left, 0 to 1.
        y: from the top, 0 to 1.
    """

    picture: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def sums(self, values: np.ndarray, number: int, cells: tuple[int, int]) -> Float[np.ndarray, "R C"]:
        """What lies in each cell of one picture, added up."""
        mine = self.picture == number
        at = self._cell(self.y, mine, cells[0]) * cells[1] + self._cell(self.x, mine, cells[1])
        return np.bincount(at, values[mine].astype(float), cells[0] * cells[1]).reshape(cells)

    def means(self, values: np.ndarray, number: int, cells: tuple[int, int]) -> Float[np.ndarray, "R C"]:
        """The mean in each cell of one picture; 0 where nothing lies."""
        count = self.sums(np.ones_like(values, dtype=float), number, cells)
        return self.sums(values, number, cells) / np.maximum(count, 1)

    def cells(self, number: int, size: tuple[int, int]) -> tuple[int, int]:
        """As many rows and columns as the tensor tells apart, at most one a pixel, and no more than can be seen."""
        mine = self.picture == number
        rows, columns = (len(np.unique(np.rint(axis[mine] * 255))) for axis in (self.y, self.x))
        shrink = min(1.0, LONGEST / max(size), rows / size[0], columns / size[1])
        return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))

    @staticmethod
    def _cell(axis: np.ndarray, mine: np.ndarray, count: int) -> np.ndarray:
        return np.clip((axis[mine] * count).astype(int), 0, count - 1)


def locate(processor: Processor, prompt: Prompt, blobs: Blobs) -> Mapping[str, Places]:
    """The places of each tensor that pictures change.

    Args:
        processor: reads.
        prompt: with at least one picture.
        blobs: its media.
    """
    count = sum(isinstance(part, Image) for part in parts_of(prompt))

    def seen(paint: Callable[[int, tuple[int, int]], np.ndarray]) -> EncodedPrompt:
        return in_place_of(processor, prompt, _painted(prompt, blobs, paint))

    black = seen(lambda number, size: np.zeros(size)).media
    across = seen(lambda number, size: np.broadcast_to(_ramp(size[1]), size)).media
    down = seen(lambda number, size: np.broadcast_to(_ramp(size[0])[:, None], size)).media
    whites = [seen(lambda number, size, n=n: np.full(size, float(number == n))).media for n in range(count)]  # type: ignore[misc]
    named = [name for name, tensor in black.items() if tensor.is_floating_point()]
    out = {}
    for name in named:
        one = [black[name], across[name], down[name], *(white[name] for white in whites)]
        if len({tensor.shape for tensor in one}) == 1:
            out[name] = _places((one[0], one[1], one[2]), one[3:])
    return {name: places for name, places in out.items() if (places.picture >= 0).any()}


def _places(three: tuple[Tensor, Tensor, Tensor], whites: Sequence[Tensor]) -> Places:
    black, across, down = three
    spans = torch.stack([white.double() - black.double() for white in whites])
    most, picture = spans.abs().max(0)
    real = most > SEEN * most.max()
    span = torch.where(real, spans.gather(0, picture[None])[0], 1.0)
    x, y = (((ramp.double() - black.double()) / span).clamp(0, 1).numpy() for ramp in (across, down))
    return Places(torch.where(real, picture, -1).numpy(), x, y)


def _ramp(length: int) -> Float[np.ndarray, " L"]:
    return (np.arange(length) + 0.5) / length


def _painted(prompt: Prompt, blobs: Blobs, paint: Callable[[int, tuple[int, int]], np.ndarray]) -> list[bytes | None]:
    """The prompt's media, its pictures painted over in greys from 0 to 1."""
    out, number = bytes_of(prompt, blobs), 0
    for n, part in enumerate(parts_of(prompt)):
        data = out[n]
        if isinstance(part, Image) and data is not None:
            height, width, _ = image.decode(data).shape
            grey = np.rint(paint(number, (height, width)) * 255).astype(np.uint8)
            out[n] = image.encode_png(np.repeat(grey[..., None], 3, 2))
            number += 1
    return out


def token_of(shape: tuple[int, ...], tokens: int) -> np.ndarray | None:
    """Which of a prompt's placeholder tokens each number of a tensor belongs to.

    Told for pictures (..., C, H, W) whose tokens lie on a grid row by row, and for patches (rows, D) that are joined to
    tokens in order.

    Args:
        shape: of the tensor.
        tokens: how many the prompt's pictures have in all.

    Returns:
        numbers from 0, of the tensor's shape; None where it cannot be told.
    """
    if len(shape) == 2:
        if not tokens or shape[0] % tokens:
            return None
        return np.broadcast_to((np.arange(shape[0]) // (shape[0] // tokens))[:, None], shape)
    if len(shape) < 4 or shape[-3] not in (1, 3):
        return None
    pieces, height, width = int(np.prod(shape[:-3])), shape[-2], shape[-1]
    grid = _grid(tokens // pieces, height, width) if tokens and tokens % pieces == 0 else None
    if grid is None:
        return None
    rows, columns = np.arange(height) * grid[0] // height, np.arange(width) * grid[1] // width
    one = rows[:, None] * grid[1] + columns[None]
    each = np.arange(pieces)[:, None, None, None] * (tokens // pieces) + one[None, None]
    return np.broadcast_to(each, (pieces, shape[-3], height, width)).reshape(shape)


def _grid(tokens: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of so many patches, as near to squares as can be; None if that is far from squares, or a tie."""
    fits = [(r, tokens // r) for r in range(1, tokens + 1) if tokens % r == 0]
    whole = [(r, c) for r, c in fits if height % r == 0 and width % c == 0]
    ranked = sorted((abs(np.log((height / r) / (width / c))), (r, c)) for r, c in whole)
    if not ranked or ranked[0][0] > np.log(2) + 1e-9 or (len(ranked) > 1 and ranked[1][0] - ranked[0][0] < 1e-9):
        return None
    return ranked[0][1]
