"""Qwen3.5: layers of linear attention (gated delta rule, 2412.06464) between layers of full attention."""

from pathlib import Path

from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration, Qwen3VLProcessor

from families import pieces, qwen_parts
from harken.models.novideo import NoVideo


def save(folder: Path, seed: int = 0) -> None:
    words = qwen_parts.tokenizer()
    text = qwen_parts.text_config(
        words,
        layer_types=["linear_attention", "full_attention"],
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 1e4,
            "mrope_section": [2, 3, 3],
            "mrope_interleaved": True,
            "partial_rotary_factor": 1.0,
        },
    )
    vision = qwen_parts.vision_config(num_position_embeddings=64)
    config = Qwen3_5Config(text_config=text, vision_config=vision, **qwen_parts.token_ids(words))
    processor = Qwen3VLProcessor(
        qwen_parts.picture_processor(),
        words,
        NoVideo(),
        chat_template=pieces.chatml({"image": qwen_parts.IMAGE}),
    )
    pieces.save(Qwen3_5ForConditionalGeneration(config), processor, folder, seed)
