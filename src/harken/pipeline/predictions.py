"""What a model's heads say of prompts, as plain data: one record a prompt."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harken.data.batch import EncodedPrompt, collate_examples
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.fusion.config import FusionConfig
from harken.models.fusion.heads.classify import Classify
from harken.models.fusion.heads.contrast import Contrast
from harken.models.fusion.heads.match import Match
from harken.models.fusion.heads.regress import Regress
from harken.models.load import load_model, load_predictor, speaks
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.types import JSON, Prompt


def load_with_heads(path: str | Path, dtype: torch.dtype) -> Model | Predictor:
    """A model that has heads besides language.

    Raises:
        FileNotFoundError: as `load_model`.
        ValueError: as `load_model`, or if it has no such head.
    """
    model: Model | Predictor = load_model(path, dtype) if speaks(path) else load_predictor(path, dtype)
    config = model.trunk.config
    if not isinstance(config, FusionConfig) or not config.heads:
        raise ValueError(f"{path} holds a model without heads beside language; harken serve has it answer in words")
    return model


def predictions(
    model: Model | Predictor, prompts: Sequence[Prompt], blobs: Blobs, batch: int = 64
) -> Iterator[dict[str, JSON]]:
    """A record for each prompt: its id and, by head, what the head says.

    Of a classification `class` and `probabilities` (by name, where classes have names), of a regression `values`, of a
    contrast `cosine` and of a match `probability` (None where one of the two is absent). A discriminator says
    nothing: it is there to be misled.

    Args:
        model: with heads.
        prompts: what they are asked about.
        blobs: the prompts' media.
        batch: prompts at a time.
    """
    heads, modalities = model.trunk.config.head_parts(), list(model.trunk.config.encoder_parts())
    for part, read, said in _in_parts(model, prompts, blobs, batch):
        for row, prompt in enumerate(part):
            words = {name: _words(head, name, said, row, (read[row], modalities)) for name, head in heads.items()}
            yield {"id": prompt.id, "heads": {name: word for name, word in words.items() if word is not None}}


def said_by(model: Model | Predictor, prompts: Sequence[Prompt], blobs: Blobs, batch: int = 256) -> dict[str, Tensor]:
    """What the heads say of all prompts, by `head.output`, with a row for each.

    Numbers that are one for a whole batch (a contrastive head's scale) are left out.
    """
    found: dict[str, list[Tensor]] = {}
    for part, _, said in _in_parts(model, prompts, blobs, batch):
        for name, value in said.items():
            if value.dim() and len(value) == len(part):
                found.setdefault(name, []).append(value)
    return {name: torch.cat(values) for name, values in found.items()}


def _in_parts(
    model: Model | Predictor, prompts: Sequence[Prompt], blobs: Blobs, batch: int
) -> Iterator[tuple[Sequence[Prompt], list[EncodedPrompt], dict[str, Tensor]]]:
    model.eval()
    encoded = EncodedPrompts(model.processor, blobs)
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        read = encoded(part)
        made = collate_examples(read, model.processor.pad_id, {}).to(model.trunk.device)
        with torch.no_grad():
            outputs = model(made, frozenset({"heads"})).heads
        yield part, read, {name: value.float().cpu() for name, value in outputs.items()}


def _words(
    head: Any, name: str, said: Mapping[str, Tensor], row: int, asked: tuple[EncodedPrompt, list[str]]
) -> dict[str, JSON] | None:
    match head:
        case Classify():
            shares = said[f"{name}.logits"][row].softmax(0)
            best, numbers = int(shares.argmax()), shares.tolist()
            if isinstance(head.classes, int):
                return {"class": best, "probabilities": numbers}
            return {"class": head.classes[best], "probabilities": dict(zip(head.classes, numbers, strict=True))}
        case Regress():
            return {"values": said[f"{name}.values"][row].tolist()}
        case Contrast():
            cosine = float(said[f"{name}.one"][row] @ said[f"{name}.other"][row])
            return {"cosine": cosine if bool(said[f"{name}.there"][row]) else None}
        case Match():
            encoded, modalities = asked
            share = float(said[f"{name}.matched"][row].sigmoid())
            return {"probability": share if head.asks(encoded.placeholders, modalities) else None}
        case _:
            return None
