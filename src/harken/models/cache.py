"""Caches of keys and values: the prompts', a completion's that continues one, and one with room to sample into."""

from typing import Any

from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from harken.models.attention import Groups, Spread


class PromptLayer(DynamicLayer):
    """The keys and values of prompts, kept as they come in one go (transformers' own layer would copy them)."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Keep the prompts' states."""
        if self.is_initialized:
            raise ValueError("the prompts are in this cache already; completions continue in one made by `branch`")
        self.keys, self.values = key_states, value_states
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True
        return key_states, value_states


class BranchLayer(DynamicLayer):
    """Completions that continue prompts: row n's past is the past of its prompt, which is kept once.

    Where the model attends in groups the past is never spread over the rows; elsewhere it is, inside the layer that
    reads it: where the layer is computed again in the backward pass, the spread copy is not kept either.
    """

    def __init__(self, keys: Tensor, values: Tensor, groups: Groups, grouped: bool):
        super().__init__()
        self.keys, self.values = keys, values
        self.past_keys, self.past_values = keys, values
        self.groups, self.grouped = groups, grouped
        self.is_initialized = True
        self.dtype, self.device = keys.dtype, keys.device

    def update(self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object) -> tuple[Any, Any]:
        """The past of each row, and its own states behind it; nothing is kept: a completion is computed in one go."""
        keys = Spread(self.past_keys, key_states, self.groups)
        values = Spread(self.past_values, value_states, self.groups)
        return (keys, values) if self.grouped else (keys.whole(), values.whole())


class RoomyLayer(DynamicLayer):
    """Completions as they are written, with room made in advance: no concatenation a step."""

    def __init__(self, keys: Tensor, values: Tensor, groups: Groups, room: int, grouped: bool):
        super().__init__()
        _, heads, length, width = keys.shape
        self.groups, self.grouped, self.past = groups, grouped, length
        self.prompt_keys, self.prompt_values = keys.contiguous(), values.contiguous()  # read again each step
        rows = groups.rows
        before = 0 if grouped else length
        self.key_room = keys.new_empty(len(rows), heads, before + room, width)
        self.value_room = values.new_empty(len(rows), heads, before + room, values.shape[-1])
        if not grouped:
            self.key_room[:, :, :length] = keys.index_select(0, rows)
            self.value_room[:, :, :length] = values.index_select(0, rows)
        self.filled = before
        self.is_initialized = True
        self.dtype, self.device = keys.dtype, keys.device
        self.keys, self.values = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object) -> tuple[Any, Any]:
        """Write the new states behind the old ones and hand out views."""
        start, self.filled = self.filled, self.filled + key_states.shape[2]
        self.key_room[:, :, start : self.filled] = key_states
        self.value_room[:, :, start : self.filled] = value_states
        keys, values = self.key_room[:, :, : self.filled], self.value_room[:, :, : self.filled]
        if not self.grouped:
            return keys, values
        return Spread(self.prompt_keys, keys, self.groups), Spread(self.prompt_values, values, self.groups)

    def get_seq_length(self) -> int:
        """Filled positions."""
        return self.filled + (self.past if self.grouped else 0)

    def keep(self, rows: Tensor, groups: Groups) -> None:
        """Drop all other rows; `groups` is of those that stay."""
        self.key_room, self.value_room = self.key_room[rows], self.value_room[rows]
        self.groups = groups


def empty_cache() -> Cache:
    """A cache that keeps every key and value of every layer, sliding windows included (the mask does the rest)."""
    return Cache(layer_class_to_replicate=PromptLayer)


def branch(cache: Cache, groups: Groups, grouped: bool) -> Cache:
    """What N completions continue, given the prompts' cache."""
    return Cache(layers=[BranchLayer(keys, values, groups, grouped) for keys, values in _filled(cache)])


def roomy(cache: Cache, groups: Groups, room: int, grouped: bool) -> Cache:
    """What N completions are sampled into, with room for so many tokens each."""
    return Cache(layers=[RoomyLayer(keys, values, groups, room, grouped) for keys, values in _filled(cache)])


def _filled(cache: Cache) -> list[tuple[Tensor, Tensor]]:
    layers = [layer for layer in cache.layers if isinstance(layer, PromptLayer)]
    found = [(layer.keys, layer.values) for layer in layers if layer.keys is not None and layer.values is not None]
    if len(found) != len(cache.layers):
        kinds = sorted({type(layer).__name__ for layer in cache.layers})
        raise ValueError(f"a shared prefix needs keys and values in every layer, and this model's cache has {kinds}")
    return found
