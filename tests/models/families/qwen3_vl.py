"""Qwen3-VL (2511.21631): features of several vision layers are added in several text layers (DeepStack)."""

from pathlib import Path

from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor

from families import pieces, qwen_parts
from harken.models.novideo import NoVideo


def save(folder: Path, seed: int = 0) -> None:
    words = qwen_parts.tokenizer()
    vision = qwen_parts.vision_config(deepstack_visual_indexes=[0, 1], num_position_embeddings=64)
    config = Qwen3VLConfig(
        text_config=qwen_parts.text_config(words), vision_config=vision, **qwen_parts.token_ids(words)
    )
    processor = Qwen3VLProcessor(
        qwen_parts.picture_processor(),
        words,
        NoVideo(),
        chat_template=pieces.chatml({"image": qwen_parts.IMAGE}),
    )
    pieces.save(Qwen3VLForConditionalGeneration(config), processor, folder, seed)
