"""Gated cross-attention: states that read media, as far as gates let them (Flamingo, 2204.14198, section 3.2)."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers.models.qwen3.modeling_qwen3 import rotate_half

from harken.models.attention import Spread, attention

START = 0.1
"""Where the gates begin. Flamingo's begin at 0, so that a language model that was trained before starts as it was. Here
it starts from nothing with the rest, and one that does not read its media at all is what harken refuses to train."""
NO_MEDIUM = -1e4
"""What a query scores where there is no medium: far below any other score, so that its weight is exactly 0."""

Rotary = tuple[Tensor, Tensor]
"""Cosines and sines of positions, each (B, T, E), as transformers' decoders make them."""


class GatedCrossAttention(nn.Module):
    """h = h + tanh(a) Attention(h, media), then h = h + tanh(b) FF(h) (2204.14198, figure 4).

    A key has one channel more than a query's own: 0 for a medium, `NO_MEDIUM` for what is none. What is none has
    values of zeros besides, and nothing here has a bias: a row without media gets exactly nothing from the attention.
    """

    def __init__(self, width: int, heads: int, shared: int, head_width: int, causal: bool):
        super().__init__()
        self.heads, self.shared, self.head_width = heads, shared, head_width
        self.num_key_value_groups, self.is_causal = heads // shared, causal  # transformers' names: it reads them
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Linear(width, heads * head_width, bias=False)
        self.keys = nn.Linear(width, shared * head_width, bias=False)
        self.values = nn.Linear(width, shared * head_width, bias=False)
        self.out = nn.Linear(heads * head_width, width, bias=False)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.gates = nn.Parameter(torch.full((2,), START))

    def keys_and_values(
        self, media: Float[Tensor, "B T D"], real: Bool[Tensor, "B T"], rotary: Rotary | None = None
    ) -> tuple[Float[Tensor, "B K T E1"], Float[Tensor, "B K T E"]]:
        """What is read.

        Args:
            media: states.
            real: which of them are media.
            rotary: their positions, if they have any.
        """
        media = media.masked_fill(~real[..., None], 0)
        keys = _turned(_split(self.keys(media), self.shared), rotary)
        marks = torch.zeros_like(keys[..., :1]).masked_fill(~real[:, None, :, None], NO_MEDIUM)
        return torch.cat([keys, marks], -1), _split(self.values(media), self.shared)

    def forward(
        self,
        hidden: Float[Tensor, "N S D"],
        keys: Tensor | Spread,
        values: Tensor | Spread,
        mask: Tensor | None = None,
        rotary: Rotary | None = None,
    ) -> Float[Tensor, "N S D"]:
        """States that have read.

        Args:
            hidden: states that read.
            keys: of media, and of the places that hold none, (N, K, L, E + 1).
            values: (N, K, L, E).
            mask: which places each state may look at, as transformers' decoders make it; None for all, or all before.
            rotary: the positions of the states that read.
        """
        scaling = self.head_width**-0.5
        queries = _turned(_split(self.queries(self.norm(hidden)), self.heads), rotary)
        queries = torch.cat([queries, torch.full_like(queries[..., :1], 1 / scaling)], -1)
        read, _ = attention(self, queries, keys, values, mask, scaling)
        gates = self.gates.tanh()
        hidden = hidden + gates[0] * self.out(read.flatten(2))
        fed: Tensor = hidden + gates[1] * self.feed_forward(hidden)
        return fed


def _split(states: Float[Tensor, "B T X"], heads: int) -> Float[Tensor, "B H T E"]:
    return states.unflatten(2, (heads, -1)).transpose(1, 2)


def _turned(states: Float[Tensor, "B H T E"], rotary: Rotary | None) -> Float[Tensor, "B H T E"]:
    """Rotary positions (2104.09864, eq. 34)."""
    if rotary is None:
        return states
    cosines, sines = (each[:, None] for each in rotary)
    turned: Tensor = states * cosines + rotate_half(states) * sines
    return turned


class _Beside:
    """Stands for a cache inside a decoder layer: what is read of media is kept beside the layer's own keys and values.

    One update carries both, so that whatever is done with a cache (shared by completions, written into, reordered,
    computed again) is done with both. They are beside each other in the last axis, which takes no copy to part.
    """

    def __init__(self, cache: Any, keys: Tensor, values: Tensor):
        self.cache, self.keys, self.values = cache, keys, values
        self.found: tuple[Tensor | Spread, Tensor | Spread] = (keys, values)

    def update(self, keys: Tensor, values: Tensor, *args: object, **kwargs: object) -> tuple[Any, Any]:
        """As `Cache.update`."""
        all_keys, all_values = self.cache.update(
            torch.cat([keys, self.keys], -1), torch.cat([values, self.values], -1), *args, **kwargs
        )
        own, of_values = slice(keys.shape[-1]), slice(values.shape[-1])
        media, media_values = slice(keys.shape[-1], None), slice(values.shape[-1], None)
        self.found = (_channels(all_keys, media), _channels(all_values, media_values))
        return _channels(all_keys, own), _channels(all_values, of_values)


def _channels(states: Tensor | Spread, which: slice) -> Tensor | Spread:
    if isinstance(states, Spread):
        return Spread(states.past[..., which], states.own[..., which], states.groups)
    return states[..., which]


class ReadingLayer(nn.Module):
    """A decoder layer, and behind it gated cross-attention to the media at or before each token.

    Flamingo's layers stand before the decoder's; between two layers that is the same place. A token reads all media
    before it, told apart by the rotary positions of their placeholders, where Flamingo's reads the last one alone.
    """

    def __init__(self, layer: nn.Module, reading: GatedCrossAttention):
        super().__init__()
        self.layer, self.reading = layer, reading

    def forward(
        self,
        hidden_states: Float[Tensor, "B T D"],
        attention_mask: Tensor | None = None,
        position_embeddings: Rotary | None = None,
        past_key_values: Any = None,
        memory: tuple[Tensor, Tensor] | None = None,
        **kwargs: Any,
    ) -> Float[Tensor, "B T D"]:
        """As the decoder layer's own.

        Args:
            hidden_states: (B, T, D).
            attention_mask: over the past and these tokens.
            position_embeddings: of these tokens.
            past_key_values: a cache, or what stands for one.
            memory: the media's states in the places of their placeholders (B, T, D), and which places are such (B, T);
                None where none of these tokens is a placeholder.
            kwargs: the decoder layer's, which differ from one release of transformers to another.
        """
        if memory is None:
            memory = torch.zeros_like(hidden_states), hidden_states.new_zeros(hidden_states.shape[:2], dtype=torch.bool)
        keys, values = self.reading.keys_and_values(*memory, position_embeddings)
        beside = _Beside(past_key_values, keys, values)
        hidden_states = self.layer(
            hidden_states,
            attention_mask=attention_mask,
            position_embeddings=position_embeddings,
            past_key_values=None if past_key_values is None else beside,
            **kwargs,
        )
        read: Tensor = self.reading(hidden_states, *beside.found, attention_mask, position_embeddings)
        return read
