"""Text alone: Qwen3 (2505.09388) with a folder that has a tokenizer and no processor."""

from pathlib import Path

from transformers import Qwen3Config, Qwen3ForCausalLM

from families import pieces


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer({}, ["<|im_start|>"])
    words.chat_template = pieces.chatml()
    config = Qwen3Config(**pieces.text_config(words, head_dim=16, tie_word_embeddings=True))
    pieces.save(Qwen3ForCausalLM(config), words, folder, seed)
