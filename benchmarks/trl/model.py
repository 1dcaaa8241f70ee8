"""The model that both sides load: a small LLaVA with random weights, its tokenizer and processor made in code."""

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen3Config,
    SiglipImageProcessor,
    SiglipVisionConfig,
)

from benchmarks.trl.prompts import SIDE

PATCH = 8
CONTROL = ("<pad>", "<unk>", "<|im_start|>", "<|im_end|>", "<image>")
ROLES = ("system", "user", "assistant")
TEMPLATE = (
    "{% for message in messages %}<|im_start|> {{ message['role'] }} "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)


def make_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """A word is a token: `w0`, `w1` and so on fill the vocabulary."""
    words = [*CONTROL, *ROLES]
    words += [f"w{n}" for n in range(vocabulary - len(words))]
    backend = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<|im_end|>",
        padding_side="left",
        extra_special_tokens={"image_token": "<image>"},
        additional_special_tokens=["<|im_start|>"],
    )


def make_processor(vocabulary: int) -> LlavaProcessor:
    """The tokenizer, and pictures of 64x64 as 8x8 patches: 64 image tokens."""
    return LlavaProcessor(
        image_processor=SiglipImageProcessor(size={"height": SIDE, "width": SIDE}),
        tokenizer=make_tokenizer(vocabulary),
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
        num_additional_image_tokens=0,
    )


def make_config(vocabulary: int, tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
    """SigLIP's tower 4 x 128, Qwen3's decoder 4 x 256 with two query heads a key head; embeddings tied."""
    vision = SiglipVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        vision_use_head=False,
    )
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    text = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        tie_word_embeddings=True,
        **ids,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
        **ids,
    )


def make_model(folder: Path, vocabulary: int, seed: int = 0) -> int:
    """Write model and processor into a folder.

    Returns:
        the number of parameters.
    """
    processor = make_processor(vocabulary)
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(make_config(vocabulary, processor.tokenizer))
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("vocabulary", type=int)
    given = arguments.parse_args()
    print(make_model(given.folder, given.vocabulary))
