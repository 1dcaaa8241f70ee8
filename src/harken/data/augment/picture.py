"""Pictures as they could also have been taken: mirrored, moved, with a piece covered."""

from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from harken.data.bounds import at_least


@dataclass(frozen=True)
class PictureChange:
    """What is done to pictures.

    Attributes:
        flip: mirror left and right, every second time by lot.
        shift: move by up to so many pixels each way; what comes in is a reflection (1409.5185 crops so).
        cover: side of a square that is covered by the batch's mean, in pixels (1708.04552); 0 for none.
    """

    flip: bool = True
    shift: int = 2
    cover: int = 0

    def __post_init__(self) -> None:
        at_least(self, "augment.image", shift=0, cover=0)

    def __call__(self, pictures: Shaped[Tensor, "B C H W"], generator: torch.Generator) -> Shaped[Tensor, "B C H W"]:
        """B pictures, changed.

        Args:
            pictures: of any type.
            generator: draws which are mirrored, where they move and what is covered.
        """
        if self.flip:
            turned = torch.rand(len(pictures), generator=generator).to(pictures.device) < 0.5
            pictures = torch.where(turned[:, None, None, None], pictures.flip(3), pictures)
        if self.shift:
            pictures = self._shifted(pictures, generator)
        return self._covered(pictures, generator) if self.cover else pictures

    def _shifted(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        count, _, height, width = pictures.shape
        moves = torch.randint(-self.shift, self.shift + 1, (2, count), generator=generator).to(pictures.device)

        def places(size: int, move: Tensor) -> Tensor:
            at = (torch.arange(size, device=pictures.device) + move[:, None]).abs()
            return torch.where(at >= size, 2 * (size - 1) - at, at).clamp(0, size - 1)

        rows, columns = places(height, moves[0]), places(width, moves[1])
        one = torch.arange(count, device=pictures.device)[:, None, None]
        # Indexed with channels last, and back: a copy of whole pixels.
        return pictures.permute(0, 2, 3, 1)[one, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def _covered(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        count, _, height, width = pictures.shape
        centre = torch.rand(2, count, generator=generator).to(pictures.device)

        def inside(size: int, at: Tensor) -> Tensor:
            middle = (at * size).floor()[:, None]
            return (torch.arange(size, device=pictures.device) - middle).abs() * 2 < self.cover

        hidden = inside(height, centre[0])[:, None, :, None] & inside(width, centre[1])[:, None, None, :]
        mean = pictures.float().mean((0, 2, 3), keepdim=True).to(pictures.dtype)
        return torch.where(hidden, mean, pictures)
