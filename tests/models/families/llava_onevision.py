"""LLaVA-OneVision (2408.03326): SigLIP over tiles of a picture and the whole, Qwen2.

A single picture is tiled by its shape (16 tokens for the whole, more for the tiles); of several, each is seen whole.
"""

from pathlib import Path

from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
)

from families import pieces
from harken.models.novideo import NoVideo

SIDE, PATCH = 32, 8
PINPOINTS = [[32, 32], [32, 64], [64, 32]]


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer({"image_token": "<image>", "video_token": "<video>"}, ["<|im_start|>"])
    config = LlavaOnevisionConfig(
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": pieces.WIDTH,
            "intermediate_size": pieces.INNER,
            "num_hidden_layers": pieces.LAYERS,
            "num_attention_heads": pieces.HEADS,
            "image_size": SIDE,
            "patch_size": PATCH,
            "vision_use_head": False,
        },
        text_config=pieces.text_config(words, model_type="qwen2"),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=PINPOINTS,
    )
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=PINPOINTS),
        words,
        NoVideo(),
        num_image_tokens=(SIDE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=pieces.chatml({"image": "<image>\n{{ '' }}"}),
    )
    pieces.save(LlavaOnevisionForConditionalGeneration(config), processor, folder, seed)
