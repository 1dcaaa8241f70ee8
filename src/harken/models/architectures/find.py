"""Which architecture a model is: by the class of its configuration, and by the cache that it asks for."""

from typing import Literal

from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

from harken.models.architectures.architecture import Architecture
from harken.models.architectures.mrope import MROPE
from harken.models.architectures.omni import OMNI
from harken.models.architectures.qwen3_vl import QWEN3_VL
from harken.models.architectures.voxtral import VOXTRAL

Layout = Literal["shared", "plain"]
KNOWN = {name: architecture for architecture in (MROPE, OMNI, QWEN3_VL, VOXTRAL) for name in architecture.configs}
KEYS_AND_VALUES = {DynamicLayer, DynamicSlidingWindowLayer, DummyLayer}
ORDINARY = Architecture(configs=())


def architecture_of(trunk: PreTrainedModel) -> Architecture:
    """The architecture of a model; one without anything special if its configuration is not listed."""
    return KNOWN.get(type(trunk.config).__name__, ORDINARY)


def natural_layout(trunk: PreTrainedModel) -> Layout:
    """`shared` if all that a layer remembers of a prompt is keys and values, `plain` otherwise.

    Linear attention and state spaces keep one sum over the past, overwritten in place. A sliding window is no
    hindrance: harken keeps all keys, and the mask does the rest. `harken doctor` measures whether this is right.
    """
    layers = DynamicCache(config=trunk.config.get_text_config(decoder=True)).layers
    return "shared" if all(type(layer) in KEYS_AND_VALUES for layer in layers) else "plain"
