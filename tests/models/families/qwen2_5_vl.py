"""Qwen2.5-VL (2502.13923): window attention in the vision tower."""

from pathlib import Path

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from families import pieces, qwen_parts
from harken.models.novideo import NoVideo


def save(folder: Path, seed: int = 0) -> None:
    words = qwen_parts.tokenizer()
    vision = qwen_parts.vision_config(window_size=16, fullatt_block_indexes=[1])
    config = Qwen2_5_VLConfig(
        text_config=qwen_parts.text_config(words), vision_config=vision, **qwen_parts.token_ids(words)
    )
    processor = Qwen2_5_VLProcessor(
        qwen_parts.picture_processor(),
        words,
        NoVideo(),
        chat_template=pieces.chatml({"image": qwen_parts.IMAGE}, qwen_parts.SYSTEM),
    )
    pieces.save(Qwen2_5_VLForConditionalGeneration(config), processor, folder, seed)
