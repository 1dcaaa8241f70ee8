"""A small transformer over the family's tokens that looks to both sides (1706.03762; 1810.04805, section 3)."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor, nn

from harken.models.fusion.encoders.encoder import divides
from harken.models.fusion.encoders.text.subwords import Subwords
from harken.models.fusion.encoders.text.writing import TextEncoder
from harken.models.fusion.layers import sinusoids, through, transformer_layers
from harken.models.fusion.stream import Stream, lengths_or_all


@dataclass(frozen=True)
class Transformer(Subwords):
    """Transformer layers.

    Attributes:
        heads: attention heads of each.
    """

    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        divides(self.heads, self.hidden, "text")
        if self.hidden % 2:
            raise ValueError(f"text.hidden must be even, not {self.hidden}: positions are pairs of sine and cosine")

    def build(self) -> "TransformerReader":
        """The encoder, with random weights."""
        return TransformerReader(self)


class TransformerReader(TextEncoder):
    """`text_ids` (B, T), `text_lengths` (B,) -> states (B, T, D)."""

    def __init__(self, settings: Transformer):
        super().__init__()
        self.width = settings.hidden
        self.table = settings.table()
        self.layers = transformer_layers(settings.hidden, settings.heads, settings.layers)
        self.norm = nn.LayerNorm(settings.hidden)

    def forward(self, media: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B texts, one a token; what lies beyond a text's length changes nothing."""
        states = self.table(media)
        real = torch.arange(media.shape[1], device=media.device) < lengths_or_all(media, lengths)[:, None]
        states = states + sinusoids(states.shape[1], states.shape[2]).to(states)
        states = self.norm(through(self.layers, states, real))
        return Stream(states * real[..., None], real)
