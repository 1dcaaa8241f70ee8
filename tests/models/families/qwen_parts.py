"""What the families of Qwen's vision models share: tokens, template, picture processor, sizes."""

from typing import Any

from transformers import PreTrainedTokenizerFast, Qwen2VLImageProcessor

from families import pieces

NAMED = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
}
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
SYSTEM = "You are a helpful assistant."


def tokenizer(more: dict[str, str] | None = None) -> PreTrainedTokenizerFast:
    return pieces.tokenizer({**NAMED, **(more or {})}, ["<|im_start|>"])


def picture_processor() -> Qwen2VLImageProcessor:
    """4 to 16 tokens a picture, by its size: 8 by 8 pixels a token."""
    return Qwen2VLImageProcessor(
        patch_size=4, merge_size=2, temporal_patch_size=2, size={"shortest_edge": 256, "longest_edge": 1024}
    )


def token_ids(words: PreTrainedTokenizerFast) -> dict[str, int]:
    return {
        "image_token_id": words.image_token_id,
        "video_token_id": words.video_token_id,
        "vision_start_token_id": words.vision_bos_token_id,
        "vision_end_token_id": words.vision_eos_token_id,
        "pad_token_id": words.pad_token_id,
    }


def text_config(words: PreTrainedTokenizerFast, **more: Any) -> dict[str, Any]:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
    return pieces.text_config(words, **{"head_dim": 16, "rope_parameters": rope, **more})


def vision_config(**more: Any) -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": pieces.WIDTH,
        "intermediate_size": pieces.INNER,
        "out_hidden_size": pieces.WIDTH,
        "num_heads": pieces.HEADS,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        **more,
    }
