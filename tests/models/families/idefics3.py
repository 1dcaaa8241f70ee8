"""Idefics3 (2408.12637): a picture is cut into tiles, and seen once whole. 4 tokens a tile."""

from pathlib import Path
from typing import Any

from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)

from families import pieces

TILE, PATCH, SHUFFLE = 32, 8, 2
TOKENS = (TILE // PATCH // SHUFFLE) ** 2
CONTROL = [
    "<|im_start|>",
    "<fake_token_around_image>",
    "<image>",
    "<global-img>",
    *(f"<row_{i}_col_{j}>" for i in range(1, 4) for j in range(1, 4)),
]
END = "<end_of_utterance>"
# As in the original, a space behind the role where the first part is words.
HEAD = "{{ m.role | capitalize }}:{% if m.content[0].type == 'text' %} {% endif %}"
TEMPLATE = pieces.template(HEAD, END + "\n", "Assistant:", {"image": "<image>"}, start="<|im_start|>")


def parts_of_config(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "vision_config": {
            "hidden_size": pieces.WIDTH,
            "intermediate_size": pieces.INNER,
            "num_hidden_layers": pieces.LAYERS,
            "num_attention_heads": pieces.HEADS,
            "image_size": TILE,
            "patch_size": PATCH,
        },
        "text_config": pieces.text_config(words, model_type="llama"),
        "scale_factor": SHUFFLE,
        "image_token_id": words.convert_tokens_to_ids("<image>"),
        "pad_token_id": words.pad_token_id,
    }


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer({}, CONTROL, END)
    config = Idefics3Config(**parts_of_config(words))
    processor = Idefics3Processor(
        Idefics3ImageProcessor(size={"longest_edge": 2 * TILE}, max_image_size={"longest_edge": TILE}),
        words,
        image_seq_len=TOKENS,
        chat_template=TEMPLATE,
    )
    pieces.save(Idefics3ForConditionalGeneration(config), processor, folder, seed)
