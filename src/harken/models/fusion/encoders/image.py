"""Pictures to tokens: a convolutional stem, patches, a small transformer (2010.11929, with a stem as in 2106.14881)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harken.models.fusion.config import ImageEncoderConfig


class ImageEncoder(nn.Module):
    """`pixel_values` (B, C, H, W) in 0..1 -> features (B, M, D), M tokens a picture."""

    def __init__(self, config: ImageEncoderConfig, width: int):
        super().__init__()
        config.check()
        self.mean, self.std = config.pixel_mean, config.pixel_std
        hidden = config.hidden
        self.stem = nn.Sequential(
            nn.Conv2d(config.channels, hidden // 2, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(hidden // 2, hidden, 3, stride=2, padding=1),
            nn.GELU(),
        )
        patch = (config.patch_height // 2, config.patch_width // 2)
        self.patches = nn.Conv2d(hidden, hidden, patch, stride=patch)
        self.positions = nn.Parameter(torch.randn(1, config.tokens, hidden) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden, config.heads, 2 * hidden, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.project = nn.Linear(hidden, width)

    def forward(self, pixel_values: Float[Tensor, "B C H W"]) -> Float[Tensor, "B M D"]:
        """Features of B pictures."""
        patches = self.patches(self.stem((pixel_values - self.mean) / self.std))
        states = patches.flatten(2).transpose(1, 2) + self.positions
        for layer in self.layers:
            states = layer(states)
        return self.project(self.norm(states))
