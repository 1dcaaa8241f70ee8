"""The last decoder layer computes of a prompt what completions read: keys, values, and the last token's state.

Nobody reads the last layer's outputs for the other tokens of a prompt, so their attention and their feed-forward part
need not be computed, nor their gradients. Works on any decoder layer that hands its keys and values to a cache: the
layer is run up to there for all tokens, and to its end for the last one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch import Tensor
from transformers import Cache, PreTrainedModel


class _KeysAndValues(Exception):
    """A layer has computed its keys and values; the rest of it is not wanted."""


class _Catching:
    """Stands for a cache: takes the keys and values, and ends the layer there."""

    def __init__(self) -> None:
        self.made: tuple[Tensor, Tensor] | None = None

    def update(self, keys: Tensor, values: Tensor, *args: object, **kwargs: object) -> Any:
        """As `Cache.update`."""
        self.made = (keys, values)
        raise _KeysAndValues


class _Given:
    """Stands for a cache: whatever the last token's keys and values are, they are in those of all tokens already."""

    def __init__(self, keys: Tensor, values: Tensor):
        self.keys, self.values = keys, values

    def update(self, keys: Tensor, values: Tensor, *args: object, **kwargs: object) -> tuple[Tensor, Tensor]:
        """As `Cache.update`."""
        return self.keys, self.values


def _of_last(value: Any, length: int) -> Any:
    """Of the last of `length` tokens: rotary factors (..., T, D), mask rows (..., T, S), positions (B, T)."""
    if isinstance(value, tuple):
        return tuple(_of_last(part, length) for part in value)
    if not isinstance(value, Tensor) or value.dim() < 2:
        return value
    if value.dim() > 2 and value.shape[-2] == length:
        return value[..., -1:, :]
    return value[..., -1:] if value.dim() == 2 and value.shape[-1] == length else value


def _shortened(original: Callable[..., Any], index: int) -> Callable[..., Any]:
    def forward(hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        cache = kwargs.get("past_key_values")
        if not isinstance(cache, Cache) or args or hidden.shape[1] == 1:
            return original(hidden, *args, **kwargs)
        catching = _Catching()
        with suppress(_KeysAndValues):
            original(hidden, **{**kwargs, "past_key_values": catching})
        if catching.made is None:
            raise RuntimeError(f"layer {index} gave its cache no keys and values")
        keys, values = cache.update(*catching.made, index)
        length = hidden.shape[1]
        last = {name: _of_last(value, length) for name, value in kwargs.items()}
        return original(hidden[:, -1:], **{**last, "past_key_values": _Given(keys, values)})

    return forward


@contextmanager
def only_last_token(trunk: PreTrainedModel, wanted: bool) -> Iterator[None]:
    """Within, a prefill gives the hidden state of the last token alone, (P, 1, D)."""
    if not wanted:
        yield
        return
    layers = trunk.get_decoder().layers
    layer = layers[-1]
    layer.forward = _shortened(layer.forward, len(layers) - 1)
    try:
        yield
    finally:
        del layer.forward  # the class's own again
