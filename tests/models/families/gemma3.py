"""Gemma 3 (2503.19786): SigLIP, sliding windows, attention in both directions within a picture. 16 tokens a picture.

Its answers end with `<end_of_turn>`, which is not eos; a system turn is put before the user's first words.
"""

from pathlib import Path

from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessor, Gemma3Processor

from families import pieces

SIDE, PATCH, TOKENS = 32, 4, 16
NAMED = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
TEMPLATE = (
    "<bos>{% if messages[0].role == 'system' %}{% set first = messages[0].content %}{% set rest = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}<start_of_turn>{% if m.role == 'assistant' %}model{% else %}{{ m.role }}{% endif %}{{ '\n' }}"
    "{% if loop.first and first %}{% if first is string %}{{ first }}{% else %}{{ first[0].text }}{% endif %}"
    "{{ '\n\n' }}{% endif %}"
    "{% for p in m.content %}{% if p.type == 'image' %}<start_of_image>{% else %}{{ p.text | trim }}{% endif %}"
    "{% endfor %}<end_of_turn>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model{{ '\n' }}{% endif %}"
)


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer(NAMED, ["<start_of_turn>", "<end_of_turn>"], end="<eos>", start="<bos>")
    config = Gemma3Config(
        text_config=pieces.text_config(
            words,
            head_dim=16,
            query_pre_attn_scalar=16,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
        ),
        vision_config={
            "hidden_size": pieces.WIDTH,
            "intermediate_size": pieces.INNER,
            "num_hidden_layers": pieces.LAYERS,
            "num_attention_heads": pieces.HEADS,
            "image_size": SIDE,
            "patch_size": PATCH,
            "vision_use_head": False,
        },
        mm_tokens_per_image=TOKENS,
        image_token_index=words.image_token_id,
        boi_token_index=words.boi_token_id,
        eoi_token_index=words.eoi_token_id,
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE}),
        words,
        chat_template=TEMPLATE,
        image_seq_length=TOKENS,
    )
    ends = [words.eos_token_id, words.convert_tokens_to_ids("<end_of_turn>")]
    pieces.save(Gemma3ForConditionalGeneration(config), processor, folder, seed, ends)
