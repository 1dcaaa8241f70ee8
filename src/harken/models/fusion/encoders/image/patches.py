"""Pictures to tokens: a convolutional stem, patches, a small transformer (2010.11929, with a stem as in 2106.14881)."""

from dataclasses import dataclass

import torch
from jaxtyping import Num
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder, Picture, divides
from harken.models.fusion.layers import through, transformer_layers
from harken.models.fusion.stream import Stream


@dataclass(frozen=True)
class Patches(Picture):
    """A vision transformer.

    Attributes:
        patch_height: height of a patch in pixels, even; one token a patch.
        patch_width: width of a patch in pixels, even.
        hidden: width of the encoder.
        layers: transformer layers after the patches.
        heads: attention heads of each.
    """

    patch_height: int = 8
    patch_width: int = 8
    hidden: int = 64
    layers: int = 1
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "image", patch_height=1, patch_width=1, layers=0)
        divides(self.heads, self.hidden, "image")
        if self.patch_height % 2 or self.patch_width % 2:
            raise ValueError(f"image patches must have even sides, not {self.patch_height} x {self.patch_width}")
        if self.height % self.patch_height or self.width % self.patch_width:
            raise ValueError(
                f"a canvas of {self.height} x {self.width} pixels is not divided by patches of "
                f"{self.patch_height} x {self.patch_width}; change image.height/width or the patch"
            )

    @property
    def tokens(self) -> int:
        """States of one picture: one a patch."""
        return (self.height // self.patch_height) * (self.width // self.patch_width)

    def build(self) -> "PatchEncoder":
        """The encoder, with random weights."""
        return PatchEncoder(self)


class PatchEncoder(Encoder):
    """`pixel_values` (B, C, H, W) in 0..1, or whole numbers 0..255 -> states (B, M, D), one a patch."""

    def __init__(self, settings: Patches):
        super().__init__()
        self.settings, self.width = settings, settings.hidden
        hidden = settings.hidden
        self.stem = nn.Sequential(
            nn.Conv2d(settings.channels, hidden // 2, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(hidden // 2, hidden, 3, stride=2, padding=1),
            nn.GELU(),
        )
        patch = (settings.patch_height // 2, settings.patch_width // 2)
        self.patches = nn.Conv2d(hidden, hidden, patch, stride=patch)
        self.positions = nn.Parameter(torch.randn(1, settings.tokens, hidden) * 0.02)
        self.layers = transformer_layers(hidden, settings.heads, settings.layers)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, media: Num[Tensor, "B C H W"], lengths: Tensor | None = None) -> Stream:
        """States of B pictures."""
        patches = self.patches(self.stem(self.as_weights(self.settings.normalised(media))))
        states = self.norm(through(self.layers, patches.flatten(2).transpose(1, 2) + self.positions, None))
        return Stream(states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device))
