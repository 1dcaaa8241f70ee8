"""Qwen2-VL (2409.12191): pictures of any size, positions with three axes."""

from pathlib import Path

from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor

from families import pieces, qwen_parts
from harken.models.novideo import NoVideo


def save(folder: Path, seed: int = 0) -> None:
    words = qwen_parts.tokenizer()
    vision = qwen_parts.vision_config(embed_dim=pieces.WIDTH, mlp_ratio=2)
    config = Qwen2VLConfig(
        text_config=qwen_parts.text_config(words), vision_config=vision, **qwen_parts.token_ids(words)
    )
    processor = Qwen2VLProcessor(
        qwen_parts.picture_processor(),
        words,
        NoVideo(),
        chat_template=pieces.chatml({"image": qwen_parts.IMAGE}, qwen_parts.SYSTEM),
    )
    pieces.save(Qwen2VLForConditionalGeneration(config), processor, folder, seed)
