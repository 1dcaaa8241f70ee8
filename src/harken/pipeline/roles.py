"""Who stands on which weights: models as a recipe wants them, and what each role is trained by."""

import copy
from collections.abc import Sequence
from pathlib import Path

from harken.data.encoded import EncodedPrompts
from harken.models.doctor import first_step
from harken.models.encoders import are_frozen, freeze_encoders
from harken.models.features import Features
from harken.models.load import load_model, weights_dtype
from harken.models.lora import AdapterConfig, add_adapter, free_name, train_adapter
from harken.models.model import Model
from harken.pipeline.settings import ModelConfig
from harken.types import Prompt

EXAMINED = 64
"""Prompts among which the first step looks for each mixture of modalities."""


def load_as(path: str | Path, config: ModelConfig) -> Model:
    """A model from a folder, as the recipe's `model` says."""
    return as_configured(load_model(path, weights_dtype(config.dtype)), config)


def as_configured(model: Model, config: ModelConfig) -> Model:
    """The recipe's settings put on a model."""
    model.recompute = config.recompute
    if config.freeze_encoders:
        freeze_encoders(model.trunk)
    return model


def in_training(model: Model, role: str, adapter: AdapterConfig | None, seed: int) -> Model:
    """A model to train that begins as another and leaves it as it is: a copy, or a new adapter on its weights."""
    if adapter is None:
        return copy.deepcopy(model)
    name = free_name(model.trunk, role)
    add_adapter(model.trunk, name, adapter, seed)
    train_adapter(model.trunk, name)
    return model.beside(name)


def prepare(model: Model, prompts: Sequence[Prompt], encoded: EncodedPrompts) -> None:
    """Before the first step: see that the model reads its media, and compute once what frozen encoders make of them.

    Raises:
        IntegrityError: if a medium does not change what the model says.
    """
    first_step(model, encoded(list(prompts[:EXAMINED])))
    if are_frozen(model.trunk) and model.features is None and Features.fits(model.trunk):
        model.features = Features(model.trunk, encoded.blobs.folder.parent / "features")
        model.features.fill(model.trunk, [p for prompt in prompts for p in encoded([prompt])], model.processor.pad_id)
