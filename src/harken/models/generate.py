"""Sampling from the shared prefix: each prompt is computed once, finished rows leave."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from harken.data.batch import Prompts
from harken.models.model import Model
from harken.models.policy import at_least_float32, suppress
from harken.models.prefix import prefill


@dataclass(frozen=True)
class Decoding:
    """How completions are sampled.

    Attributes:
        max_tokens: the longest completion, its end-of-turn token included.
        temperature: 1 samples from the policy as it is; 0 takes the likeliest token each time.
    """

    max_tokens: int = 32
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.temperature < 0:
            raise ValueError(f"decoding needs max_tokens >= 1 and temperature >= 0, not {self}")


@dataclass(frozen=True)
class Sampled:
    """N completions as ids, each (T_n,), with the end-of-turn token where they finished."""

    ids: list[Int[Tensor, " _"]]
    finished: Bool[Tensor, " N"]


class RoomyLayer(DynamicLayer):
    """A cache layer with room made in advance: no concatenation a step."""

    def __init__(self, keys: Tensor, values: Tensor, room: int):
        super().__init__()
        rows, heads, length, width = keys.shape
        self.key_room = keys.new_empty(rows, heads, length + room, width)
        self.value_room = values.new_empty(rows, heads, length + room, values.shape[-1])
        self.key_room[:, :, :length] = keys
        self.value_room[:, :, :length] = values
        self.filled = length
        self.is_initialized = True
        self.dtype, self.device = keys.dtype, keys.device
        self.keys, self.values = keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Write the new states behind the old ones and hand out views."""
        start, self.filled = self.filled, self.filled + key_states.shape[2]
        self.key_room[:, :, start : self.filled] = key_states
        self.value_room[:, :, start : self.filled] = value_states
        self.keys, self.values = self.key_room[:, :, : self.filled], self.value_room[:, :, : self.filled]
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Filled positions."""
        return self.filled

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows."""
        self.key_room, self.value_room = self.key_room[rows], self.value_room[rows]
        self.keys, self.values = self.key_room[:, :, : self.filled], self.value_room[:, :, : self.filled]


def choose(logits: Float[Tensor, "N V"], temperature: float, uniform: Float[Tensor, " N"]) -> Int[Tensor, " N"]:
    """One token a row, by the inverse of the cumulative distribution; the likeliest where the temperature is 0."""
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = (logits / temperature).softmax(-1).cumsum(-1)
    # The sum may end a rounding below 1: scale the draw, so that the last token with any probability is the last taken.
    return torch.searchsorted(cumulative, (uniform[:, None] * cumulative[:, -1:]), right=True)[:, 0].clamp(
        max=logits.shape[-1] - 1
    )


@torch.no_grad()
def generate(
    model: Model, prompts: Prompts, rows: Int[Tensor, " N"], decoding: Decoding, generator: torch.Generator
) -> Sampled:
    """Sample N completions.

    Args:
        model: the policy.
        prompts: P prompts, each computed once.
        rows: for each completion the row of its prompt, (N,).
        decoding: length and temperature.
        generator: draws all noise in advance, so that a row's completion does not depend on when others finish.
    """
    trunk, head = model.trunk, model.trunk.get_output_embeddings()
    device = prompts.ids.device
    n, room = len(rows), decoding.max_tokens
    noise = torch.rand(n, room, generator=generator).to(device)
    states, prefix_cache = prefill(trunk, prompts)
    layers = _expand(prefix_cache, rows, room)
    cache = Cache(layers=list(layers))
    mask = torch.cat([prompts.mask.index_select(0, rows), torch.ones(n, room, dtype=torch.bool, device=device)], 1)
    length, start = prompts.ids.shape[1], prompts.mask.sum(1).index_select(0, rows)
    states = states.index_select(0, rows)
    alive = torch.arange(n, device=device)
    tokens = torch.full((n, room), model.processor.pad_id, dtype=torch.long, device=device)
    counts = torch.full((n,), room, device=device)
    finished = torch.zeros(n, dtype=torch.bool, device=device)
    for step in range(room):
        logits = suppress(at_least_float32(head(states)), model.suppressed)
        chosen = choose(logits, decoding.temperature, noise[alive, step])
        tokens[alive, step] = chosen
        ended = chosen == model.processor.end_id
        finished[alive[ended]] = True
        counts[alive[ended]] = step + 1
        going = (~ended).nonzero()[:, 0]
        if not len(going) or step == room - 1:
            break
        if len(going) < len(alive):
            for layer in layers:
                layer.keep(going)
            alive, chosen = alive[going], chosen[going]
            mask, start = mask[going], start[going]
        out = trunk.base_model(
            input_ids=chosen[:, None],
            attention_mask=mask[:, : length + step + 1].long(),
            position_ids=(start + step)[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        states = out.last_hidden_state[:, -1]
    return Sampled([tokens[i, : counts[i]].cpu() for i in range(n)], finished.cpu())


def _expand(cache: Cache, rows: Tensor, room: int) -> list[RoomyLayer]:
    out = []
    for layer in cache.layers:
        if not isinstance(layer, DynamicLayer) or layer.keys is None or layer.values is None:
            raise ValueError(
                f"the shared prefix needs plain attention caches, but this model has {type(layer).__name__}"
            )
        out.append(RoomyLayer(layer.keys.index_select(0, rows), layer.values.index_select(0, rows), room))
    return out
