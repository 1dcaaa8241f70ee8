"""Pictures to tokens by convolutions: a residual network of chosen width and depth (1512.03385)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder, Picture
from harken.models.fusion.stream import Stream

Norm = Literal["group", "batch"]
PER_GROUP = 16
"""Channels that group norm takes together (1803.08494, table 3)."""


@dataclass(frozen=True)
class Cnn(Picture):
    """A convolutional stem, then groups that halve the map; each ends with residual blocks of two convolutions.

    Attributes:
        stem: channels of the first convolution.
        kernel: side of its kernel: 2 makes the picture a pixel smaller, 3 leaves its size.
        widths: channels of each group.
        depth: residual convolutions in each group; a shortcut goes around every two.
        norm: what keeps the scale. `group` reads one picture (1803.08494); `batch` all of a batch (1502.03167), which
            is faster, and only for a model without a language head.
        pool: `grid` makes a state of each cell of the last map; `max` and `mean` make one state of them all.
    """

    stem: int = 24
    kernel: int = 2
    widths: tuple[int, ...] = (64, 256, 256)
    depth: int = 2
    norm: Norm = "group"
    pool: Literal["grid", "max", "mean"] = "grid"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "image", stem=1, depth=0)
        if self.kernel not in (2, 3):
            raise ValueError(f"image.kernel is 2 or 3, not {self.kernel}")
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"image.widths are channels of one group or more, each from 1 up, not {self.widths}")
        if 0 in self.grid:
            raise ValueError(
                f"a canvas of {self.height} x {self.width} pixels, halved by each of {len(self.widths)} groups, "
                "shrinks to nothing; raise image.height/width, or give fewer image.widths"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the last map."""
        lost, halvings = 3 - self.kernel, len(self.widths)
        return (self.height - lost) >> halvings, (self.width - lost) >> halvings

    @property
    def tokens(self) -> int:
        """States of one picture: one a cell of the last map, or one."""
        height, width = self.grid
        return height * width if self.pool == "grid" else 1

    def build(self) -> "CnnEncoder":
        """The encoder, with random weights."""
        return CnnEncoder(self)


class CnnEncoder(Encoder):
    """`pixel_values` (B, C, H, W) in 0..1, or whole numbers 0..255 -> states (B, M, D), D the last of the widths."""

    def __init__(self, settings: Cnn):
        super().__init__()
        self.settings, self.width = settings, settings.widths[-1]
        self.stem = nn.Conv2d(settings.channels, settings.stem, settings.kernel, padding=settings.kernel - 2)
        sizes = (settings.stem, *settings.widths)
        self.groups = nn.Sequential(
            *(_Group(size, width, settings) for size, width in zip(sizes, settings.widths, strict=False))
        )
        shape = (1, settings.tokens, self.width)
        self.positions = nn.Parameter(torch.randn(shape) * 0.02) if settings.pool == "grid" else None

    def forward(self, media: Num[Tensor, "B C H W"], lengths: Tensor | None = None) -> Stream:
        """States of B pictures."""
        # Channels lie beside each other in memory: convolutions on a CPU are about twice as fast so.
        pixels = self.as_weights(self.settings.normalised(media)).contiguous(memory_format=torch.channels_last)
        states = self.groups(nn.functional.gelu(self.stem(pixels))).flatten(2).transpose(1, 2)
        if self.positions is not None:
            states = states + self.positions
        else:
            states = states.amax(1, keepdim=True) if self.settings.pool == "max" else states.mean(1, keepdim=True)
        return Stream(states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device))


class _Group(nn.Module):
    """A convolution to a map of half the size, then residual blocks."""

    def __init__(self, size: int, width: int, settings: Cnn):
        super().__init__()
        self.convolution = nn.Conv2d(size, width, 3, padding=1, bias=False)
        self.norm = _norm(settings.norm, width)
        pairs, single = divmod(settings.depth, 2)
        depths = [2] * pairs + [1] * single
        self.blocks = nn.ModuleList(
            nn.Sequential(*(layer for _ in range(depth) for layer in _layers(width, settings.norm))) for depth in depths
        )

    def forward(self, states: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        # The norm comes behind the pooling, where it has a quarter of the numbers to read.
        halved = nn.functional.max_pool2d(self.convolution(states), 2)
        states = nn.functional.gelu(self.norm(halved))
        for block in self.blocks:
            states = states + block(states)
        return states


def _layers(width: int, norm: Norm) -> tuple[nn.Module, ...]:
    return nn.Conv2d(width, width, 3, padding=1, bias=False), _norm(norm, width), nn.GELU()


def _norm(name: Norm, width: int) -> nn.Module:
    if name == "batch":
        return nn.BatchNorm2d(width)
    return GroupNorm(next(g for g in range(max(1, width // PER_GROUP), 0, -1) if width % g == 0), width)


class GroupNorm(nn.Module):
    """Group norm whose gain and shift stand beside torch's kernel.

    Inside it, with channels last in memory, torch 2.13 reads where nothing lies when the gradient of the gain is asked
    for and that of the states is not.
    """

    def __init__(self, groups: int, width: int):
        super().__init__()
        self.groups = groups
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, states: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """As torch's."""
        normed = nn.functional.group_norm(states, self.groups)
        return normed * self.weight[:, None, None] + self.bias[:, None, None]
