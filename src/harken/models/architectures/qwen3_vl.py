"""Qwen3-VL: M-RoPE, and pictures' features added again behind its first decoder layers (DeepStack, 2406.04334)."""

from transformers import PreTrainedConfig

from harken.models.architectures.architecture import Architecture
from harken.models.architectures.mrope import positions


def reads_last_layer(config: PreTrainedConfig) -> bool:
    """Whether features are added behind the last decoder layer too, which then has to give all tokens' states."""
    return len(config.vision_config.deepstack_visual_indexes) >= config.text_config.num_hidden_layers


QWEN3_VL = Architecture(
    configs=("Qwen3VLConfig", "Qwen3VLMoeConfig"), positions=positions, reads_last_layer=reads_last_layer
)
