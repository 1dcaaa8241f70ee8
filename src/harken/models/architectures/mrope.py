"""Models whose tokens have several positions: time, height, width (M-RoPE, 2409.12191, section 2.1).

A picture's tokens share one point in time and lie on a grid; the text after it goes on from the largest position of
all, so that a prompt's length and its last position differ. The model itself knows the grid (`get_rope_index`).
"""

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
    found: tuple[Tensor, Tensor] = trunk.base_model.get_rope_index(  # type: ignore[operator]
        prompts.ids,
        mm_token_type_ids=prompts.per_token["mm_token_type_ids"],
        image_grid_thw=grid,
        attention_mask=prompts.mask.long(),
    )
    return found[0]


MROPE = Architecture(
    configs=(
        "Qwen2VLConfig",
        "Qwen2_5_VLConfig",
        "Qwen3_5Config",
        "Qwen3_5MoeConfig",
        "Glm4vConfig",
        "Glm46VConfig",
    ),
    positions=positions,
)
