"""Activation recomputation that works with the shared prefix (1604.06174).

transformers' own gradient checkpointing forbids a cache. Here each decoder layer is a function of its input and of the
keys and values that it continues, which gives its output and its own keys and values: all of them go through
`torch.utils.checkpoint`, so that gradients of completions still flow back into their prompt, and what a layer keeps
for the backward pass is its input alone.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import Cache, PreTrainedModel

from harken.models.cache import BranchLayer

Role = Callable[[], AbstractContextManager[None]]


class _OneLayer:
    """Stands for a cache inside one decoder layer, and remembers what the layer put into it."""

    def __init__(self, past: tuple[Tensor, ...], like: BranchLayer | None):
        self.past, self.like = past, like
        self.made: tuple[Tensor, ...] = ()

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *args: object, **kwargs: object) -> Any:
        """As `Cache.update`."""
        self.made = (keys, values)
        if self.like is None:
            return keys, values
        past_keys, past_values = self.past
        return BranchLayer(past_keys, past_values, self.like.groups, self.like.grouped).update(keys, values)


def _recomputed(original: Callable[..., Any], index: int, role: Role) -> Callable[..., Any]:
    def forward(hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        cache = kwargs.pop("past_key_values", None)
        found = cache.layers[index] if isinstance(cache, Cache) and index < len(cache.layers) else None
        branch = found if isinstance(found, BranchLayer) else None
        past = (branch.past_keys, branch.past_values) if branch is not None else ()

        def run(hidden: Tensor, *past: Tensor) -> tuple[Any, ...]:
            one = _OneLayer(past, branch)
            with role():
                out = original(hidden, *args, past_key_values=one if isinstance(cache, Cache) else None, **kwargs)
            return (out, *one.made)

        out, *made = checkpoint(run, hidden, *past, use_reentrant=False, preserve_rng_state=False)
        if isinstance(cache, Cache) and branch is None:
            cache.update(*made, index)
        return out

    return forward


@contextmanager
def recomputing(trunk: PreTrainedModel, wanted: bool, role: Role) -> Iterator[None]:
    """Within, the decoder's layers keep only their inputs for the backward pass.

    Args:
        trunk: the model.
        wanted: whether to do so at all.
        role: a context in which the trunk speaks as it does now; entered again in the backward pass.
    """
    if not wanted:
        yield
        return
    layers = list(trunk.get_decoder().layers)
    for index, layer in enumerate(layers):
        layer.forward = _recomputed(layer.forward, index, role)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own again
