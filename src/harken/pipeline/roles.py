"""Who stands on which weights: models as a recipe wants them, and what each role is trained by."""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from harken.data.encoded import EncodedPrompts
from harken.data.processor import Processor
from harken.data.tensors import bytes_of
from harken.models.doctor import first_step
from harken.models.encoders import are_frozen, freeze_encoders
from harken.models.features import Features
from harken.models.fusion.build import build
from harken.models.load import load_model, weights_dtype
from harken.models.lora import AdapterConfig, add_adapter, drop_adapter, free_name, merge_adapter, training_only
from harken.models.model import Model
from harken.models.speech_to_text import SpeechToText
from harken.pipeline.settings import ModelConfig
from harken.reward.model import RewardModelConfig
from harken.types import Completion, Prompt, Text

EXAMINED = 64
"""Prompts among which the first step looks for each mixture of modalities."""


def load_as(path: str | Path, config: ModelConfig) -> Model:
    """A model from a folder, as the recipe's `model` says."""
    return as_configured(load_model(path, weights_dtype(config.dtype)), config)


def as_configured(model: Model, config: ModelConfig) -> Model:
    """The recipe's settings put on a model.

    Raises:
        ValueError: if it should have the words of sounds written down, and hears by itself.
    """
    model.recompute = config.recompute
    if config.freeze_encoders:
        freeze_encoders(model.trunk)
    if config.speech_to_text is not None and model.processor.transcriber is None:
        model.processor.listen_by(SpeechToText(config.speech_to_text))
    return model


def reward_trunk(
    model: Model | None,
    config: RewardModelConfig,
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    seed: int,
) -> Model:
    """What a reward model's trunk begins as: a model that is there, or a new one of harken's own family.

    Args:
        model: the policy whose completions are judged; not read where the trunk is `encoders`.
        config: which of the two, and the sizes of a new one.
        prompts: a new one's tokenizer learns its merges from their texts and those of the completions.
        completions: of them.
        seed: of a new one's weights.

    Raises:
        ValueError: if the trunk is to be a model that is there, and none is given.
    """
    if config.trunk == "encoders":
        messages = [message for prompt in prompts for message in prompt.messages]
        texts = [part.text for message in messages for part in message.parts if isinstance(part, Text)]
        trunk, processor = build(config.family, [*texts, *(c.text for c in completions)], seed)
        return Model(trunk.eval(), Processor(processor)).eval()
    if model is None:
        raise ValueError("give the model that the reward model's trunk begins as, or say reward.model.trunk: encoders")
    return model


@contextmanager
def in_training(model: Model, role: str, adapter: AdapterConfig | None, seed: int) -> Iterator[Model]:
    """Within, a model to train that begins as another and leaves it as it is: a copy, or an adapter on its weights.

    A model that speaks through an adapter already is copied with that added to its weights; a new adapter on it begins
    as that one is.

    Raises:
        ValueError: if the new adapter has another form than the one that it should begin as.
    """
    if adapter is None:
        trained = copy.deepcopy(model)
        merge_adapter(trained.trunk, trained.adapter)
        trained.adapter = None
    else:
        name = free_name(model.trunk, role)
        add_adapter(model.trunk, name, adapter, seed, begin=model.adapter)
        trained = model.beside(name)
    try:
        with training_only(trained.trunk, trained.adapter):
            yield trained
    except BaseException:
        if trained.adapter is not None:
            drop_adapter(model.trunk, trained.adapter)
        raise
    finally:
        trained.forget_prefix()


def fingerprint(module: nn.Module | None) -> str:
    """SHA-256 of all weights and buffers of a module; of nothing if there is none."""
    out = hashlib.sha256()
    for name, tensor in module.state_dict().items() if module is not None else ():
        out.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        out.update(bytes_of(tensor))
    return out.hexdigest()


def prepare(model: Model, prompts: Sequence[Prompt], encoded: EncodedPrompts) -> None:
    """Before the first step: see that the model reads its media, and compute once what frozen encoders make of them.

    Raises:
        IntegrityError: if a medium does not change what the model says.
    """
    if not are_frozen(model.trunk):
        model.features = None
    if prompts:
        first_step(model, encoded(list(prompts[:EXAMINED])))
    if are_frozen(model.trunk) and model.features is None and Features.fits(model.trunk):
        model.features = Features(model.trunk, encoded.blobs.folder.parent / "features")
        model.features.fill(model.trunk, [p for prompt in prompts for p in encoded([prompt])], model.processor.pad_id)
