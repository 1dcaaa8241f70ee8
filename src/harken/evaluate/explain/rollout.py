"""Attention rollout: how much of each token flows into the answer, through all layers (2005.00928, section 3).

Each layer mixes tokens by its attention and keeps half of what was there (the residual connection); the product of all
layers' mixtures says how much of each token of the prompt arrives where the answer is written. It tells where a model
looked, which is not what it used: gradients tell that. The first token draws much attention in most decoders.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harken.evaluate.explain.reading import Reading
from harken.evaluate.explain.target import Target, batch_of
from harken.models.predictor import Predictor

EAGER = "eager"
"""Transformers' name of the attention that gives its weights."""


def rollout(attentions: Sequence[Float[Tensor, "H T T"]]) -> Float[Tensor, "T T"]:
    """How much of each token is in each token's last state; rows add up to 1.

    Args:
        attentions: of each layer, first to last; each row a distribution.
    """
    size = attentions[0].shape[-1]
    eye = torch.eye(size, dtype=torch.float64)
    out = eye
    for layer in attentions:
        out = (0.5 * layer.double().cpu().mean(0) + 0.5 * eye) @ out
    return out


@torch.no_grad()
def prompt_attention(target: Target, reading: Reading, completion: Int[Tensor, " C"]) -> Float[Tensor, " T"] | None:
    """How much of each token of a prompt arrives where the answer is written, on average; for a score, at its end.

    Args:
        target: what is explained.
        reading: the prompt.
        completion: the answer.

    Returns:
        an entry a token of the prompt, (T,); None where the model's decoder does not give its attention as one whole
        matrix a layer (linear attention, kernels of its own), or there is none.
    """
    length, total = len(reading.encoded.ids), len(reading.encoded.ids) + len(completion)
    model = target.model
    if isinstance(model, Predictor):
        return None
    with _weights_of(model.trunk.get_decoder()) as seen:
        target(batch_of(model, [reading.encoded], completion))
    layers = [layer[0] for layer in seen if layer.shape[-2] == layer.shape[-1] and layer.shape[-1] >= total - 1]
    wanted = model.trunk.config.get_text_config(decoder=True).num_hidden_layers
    if len(layers) != wanted or len({layer.shape for layer in layers}) > 1:
        return None
    mixed = rollout(layers)
    rows = mixed[-1:] if target.kind == "reward" else mixed[length - 1 : max(total - 1, length)]
    return rows.mean(0)[:length]


@contextmanager
def _weights_of(decoder: Any) -> Iterator[list[Tensor]]:
    """Within, a decoder attends in the manner that gives weights; they are listed, layer by layer."""
    seen: list[Tensor] = []

    def listen(module: torch.nn.Module, inputs: Any, out: Any) -> None:
        if isinstance(out, tuple) and len(out) > 1 and isinstance(out[1], Tensor) and out[1].dim() == 4:
            seen.append(out[1])

    before = decoder.config._attn_implementation
    hooks = [m.register_forward_hook(listen) for m in decoder.modules() if type(m).__name__.endswith("Attention")]
    decoder.set_attn_implementation(EAGER)
    try:
        yield seen
    finally:
        decoder.set_attn_implementation(before)
        for hook in hooks:
            hook.remove()
