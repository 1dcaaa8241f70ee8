"""Qwen's omni thinkers: M-RoPE over text, pictures and sounds (2503.20215, section 2.2)."""

from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel

from harken.data.batch import Prompts
from harken.models.architectures.architecture import Architecture, running_positions


def positions(trunk: PreTrainedModel, prompts: Prompts) -> Int[Tensor, "..."]:
    """(3, P, T) with pictures; (P, T) for text and sound alone, whose three positions are equal."""
    grid = prompts.media.get("image_grid_thw")
    if grid is None:
        return running_positions(prompts.mask)
    frames = prompts.media.get("feature_attention_mask")
    found: tuple[Tensor, Tensor] = trunk.base_model.get_rope_index(  # type: ignore[operator]
        prompts.ids,
        image_grid_thw=grid,
        attention_mask=prompts.mask.long(),
        audio_seqlens=None if frames is None else frames.sum(1),
    )
    return found[0]


OMNI = Architecture(configs=("Qwen2_5OmniThinkerConfig", "Qwen3OmniMoeThinkerConfig"), positions=positions)
