"""A resampler: a fixed number of learnt queries reads states of any number (Flamingo, 2204.14198, section 3.1)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from harken.models.fusion.stream import Stream


class ResamplerLayer(nn.Module):
    """x = x + Attention(x, [states; x]); x = x + FF(x), each behind a norm (2204.14198, figure 5)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.norm_states = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(
        self, latents: Float[Tensor, "B L D"], states: Float[Tensor, "B M D"], real: Bool[Tensor, "B M"]
    ) -> Float[Tensor, "B L D"]:
        """Latents that have read the states; what is not real is read by none."""
        asking = self.norm(latents)
        seen = torch.cat([self.norm_states(states), asking], 1)
        # The latents are among what is read, so that a row without any state still has something to read.
        unseen = torch.cat([~real, real.new_zeros(latents.shape[:2])], 1)
        latents = latents + self.attention(asking, seen, seen, key_padding_mask=unseen, need_weights=False)[0]
        read: Tensor = latents + self.feed_forward(latents)
        return read


class Resampler(nn.Module):
    """States (B, M, D) to `latents` states (B, L, D): pooling by learnt queries (Set Transformer, 1810.00825, eq. 11).

    Where the states stand in their medium is said by themselves: encoders put positions in.
    """

    def __init__(self, width: int, latents: int, heads: int, layers: int):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(latents, width) * 0.02)
        self.layers = nn.ModuleList(ResamplerLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, media: Stream) -> Float[Tensor, "B L D"]:
        """The latents of each row; of a row without states, what was learnt for it."""
        latents = self.latents.expand(len(media.real), -1, -1)
        for layer in self.layers:
            latents = layer(latents, media.states, media.real)
        normed: Tensor = self.norm(latents)
        return normed
