"""The encoders of a model: their weights, their outputs, and something else in their place.

What a model's `get_image_features` and `get_audio_features` give is put among the words where the placeholders are.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from harken.data.batch import Prompts
from harken.data.processor import IntegrityError
from harken.data.tensors import bytes_of
from harken.models.fusion.model import OF_ENCODERS, FusionPreTrainedModel

METHODS = {
    "image": "get_image_features",
    "audio": "get_audio_features",
    "numbers": "get_numbers_features",
    "text": "get_text_features",
}
POOLED, LAST, DEEP = "pooler_output", "last_hidden_state", "deepstack_features"


def methods_of(trunk: PreTrainedModel) -> dict[str, str]:
    """The encoders' methods by modality (Hugging Face's names; a few families have none)."""
    return {modality: name for modality, name in METHODS.items() if hasattr(trunk.base_model, name)}


def encoder_parameters(trunk: PreTrainedModel) -> dict[str, Tensor]:
    """All weights that are neither the decoder's nor the language head's; of harken's family, those of the encoders."""
    if isinstance(trunk, FusionPreTrainedModel):
        return {name: p for name, p in trunk.named_parameters() if name.startswith(OF_ENCODERS)}
    decoder = {id(p) for p in trunk.get_decoder().parameters()}
    head = {id(p) for p in trunk.get_output_embeddings().parameters()}
    return {name: p for name, p in trunk.named_parameters() if id(p) not in decoder | head}


def freeze_encoders(trunk: PreTrainedModel) -> None:
    """The encoders, with what maps their outputs to the decoder's width, are not trained."""
    for parameter in encoder_parameters(trunk).values():
        parameter.requires_grad_(False)


def are_frozen(trunk: PreTrainedModel) -> bool:
    """Whether no encoder is trained."""
    return not any(p.requires_grad for p in encoder_parameters(trunk).values())


def encoder_hash(trunk: PreTrainedModel) -> str:
    """SHA-256 of the encoders' weights and names."""
    out = hashlib.sha256()
    for name, parameter in sorted(encoder_parameters(trunk).items()):
        out.update(name.encode())
        out.update(bytes_of(parameter))
    return out.hexdigest()[:32]


@contextmanager
def standing_in(base: Any, methods: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Within, a model calls these functions in place of its encoders, by modality."""
    for modality, method in methods.items():
        setattr(base, METHODS[modality], method)
    try:
        yield
    finally:
        for modality in methods:
            delattr(base, METHODS[modality])


def _rows(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


def flat_features(out: Any) -> dict[str, Tensor]:
    """What a forward reads of an encoder's output, each as rows of one width, (M, D).

    The names say how it was given: as a tensor, as a `.list` with one a medium, or `.masked`, where shorter media are
    filled up.
    """
    fields: dict[str, Any] = {POOLED: getattr(out, POOLED, None)}
    if fields[POOLED] is None:
        fields = {LAST: out.last_hidden_state}
    fields |= {f"{DEEP}.{i}": layer for i, layer in enumerate(getattr(out, DEEP, None) or [])}
    mask = getattr(out, "attention_mask", None)
    made: dict[str, Tensor] = {}
    for name, value in fields.items():
        if isinstance(value, list | tuple):
            made[f"{name}.list"] = torch.cat([_rows(part) for part in value])
        elif mask is not None and value.dim() == 3 and mask.shape == value.shape[:2]:
            made[f"{name}.masked"] = value[mask.bool()]
        else:
            made[name] = _rows(value)
    return made


def as_encoded(flat: Mapping[str, Tensor]) -> SimpleNamespace:
    """An encoder's output again, from what `flat_features` made of it."""
    given: dict[str, Any] = {}
    mask = None
    for name, rows in flat.items():
        field = name.removesuffix(".list").removesuffix(".masked")
        given[field] = (rows,) if name.endswith(".list") else rows
        if name.endswith(".masked"):
            given[field], mask = rows[None], torch.ones(1, len(rows), dtype=torch.bool, device=rows.device)
    deep = sorted((name for name in given if name.startswith(DEEP)), key=lambda name: int(name.rpartition(".")[2]))
    return SimpleNamespace(
        pooler_output=given.get(POOLED),
        last_hidden_state=given.get(LAST),
        deepstack_features=[given[name] for name in deep],
        attention_mask=mask,
    )


@contextmanager
def counted(trunk: PreTrainedModel, prompts: Prompts, placeholders: Mapping[str, int]) -> Iterator[None]:
    """Within, every encoding must have as many features as its prompts have placeholders.

    Some families check this themselves; others would leave features out, or put them in a wrong place, in silence.

    Args:
        trunk: the model.
        prompts: what it reads.
        placeholders: the placeholder's id by modality.

    Raises:
        IntegrityError: if the numbers differ.
    """
    base = trunk.base_model

    def counting(modality: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            out = method(*args, **kwargs)
            wanted = int((prompts.ids == placeholders[modality]).sum())
            found = len(next(iter(flat_features(out).values())))
            if wanted != found:
                raise IntegrityError(
                    f"{modality}: {wanted} placeholder tokens in the batch, but {found} features from the encoder; "
                    "the processor and the model do not fit each other"
                )
            return out

        return call

    found = {m: counting(m, getattr(base, n)) for m, n in methods_of(trunk).items() if m in placeholders}
    with standing_in(base, found):
        yield
