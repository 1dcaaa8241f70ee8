"""What the tiny families are put together from: a tokenizer, a chat template, weights that differ, a folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from harken.models.novideo import stand_in_for_video

stand_in_for_video()

CORPUS = [
    "Which number is it? It is 42. What was said? The voice says eight.",
    "The picture shows 7, and the voice says 8. Are they the same? Just words. Agree?",
    "You are a helpful assistant. user assistant system model USER ASSISTANT User Assistant",
]
WIDTH, HEADS, LAYERS, INNER = 32, 2, 2, 48


def tokenizer(
    named: Mapping[str, str], control: Iterable[str] = (), end: str = "<|im_end|>", start: str = "<s>"
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer.

    Args:
        named: control tokens that a processor asks for by name: `image_token` makes `.image_token`, `.image_token_id`.
        control: further control tokens.
        end: the end-of-turn token, which is eos too.
        start: the token a document begins with.
    """
    special = list(dict.fromkeys(["<pad>", start, end, "<unk>", *control, *named.values()]))
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + len(special) + 80,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=start,
        eos_token=end,
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side="left",
        additional_special_tokens=[token for token in control if token != end],
        extra_special_tokens=dict(named),
    )


def text_config(words: PreTrainedTokenizerFast, **more: Any) -> dict[str, Any]:
    """The sizes of a language model, for any family whose configuration has Llama's names."""
    return {
        "vocab_size": len(words),
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "max_position_embeddings": 1024,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        **more,
    }


def template(head: str, tail: str, ask: str, media: Mapping[str, str] | None = None, start: str = "") -> str:
    """A chat template.

    Args:
        head: what a message `m` begins with.
        tail: what it ends with.
        ask: where the next answer begins.
        media: what stands for a part, by its type.
        start: what a conversation begins with.
    """
    cases = "".join("{% elif p.type == '" + name + "' %}" + text for name, text in (media or {}).items())
    parts = "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}" + cases + "{% endif %}{% endfor %}"
    body = "{% if m.content is string %}{{ m.content }}{% else %}" + parts + "{% endif %}"
    turns = "{% for m in messages %}" + head + body + tail + "{% endfor %}"
    return start + turns + "{% if add_generation_prompt %}" + ask + "{% endif %}"


def chatml(media: Mapping[str, str] | None = None, system: str = "") -> str:
    """Qwen's way: `<|im_start|>role`, the parts, `<|im_end|>`; with a system turn put first where there is none."""
    start = ""
    if system:
        start = "{% if messages[0].role != 'system' %}<|im_start|>system\n" + system + "<|im_end|>\n{% endif %}"
    return template(
        "<|im_start|>{{ m.role }}\n", "<|im_end|>\n", "<|im_start|>assistant\n{{ '' }}", media=media, start=start
    )


def save(model: PreTrainedModel, processor: Any, folder: Path, seed: int, ends: Iterable[int] = ()) -> None:
    """Write a folder as a user's would be.

    Args:
        model: with any weights: they are replaced.
        processor: a Hugging Face processor, or a tokenizer.
        folder: where to.
        seed: of the weights.
        ends: ids that end an answer; only eos if empty.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            constant = bool((parameter == parameter.reshape(-1)[0]).all())
            if parameter.dim() > 1 or not constant:
                # Wide enough that what a model says depends visibly on what it sees, hears and reads.
                fan = 16 if "embed" in name and parameter.dim() < 3 else max(parameter[0].numel(), 16)
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan**0.5)
    read = getattr(processor, "tokenizer", processor)
    model.generation_config.pad_token_id = read.pad_token_id
    model.generation_config.bos_token_id = read.bos_token_id
    model.generation_config.eos_token_id = list(ends) or read.eos_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
