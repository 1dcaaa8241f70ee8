"""LLaVA (2304.08485, 2310.03744): CLIP's vision tower, a two-layer projector, Llama. 16 tokens a picture."""

from pathlib import Path

from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from families import pieces

SIDE, PATCH = 32, 8
HEAD = "{% if m.role != 'system' %}{{ m.role | upper }}: {% endif %}"
TAIL = "{% if m.role == 'assistant' %}</s>{% else %} {% endif %}"


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer({"image_token": "<image>"}, end="</s>")
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=pieces.WIDTH,
            intermediate_size=pieces.INNER,
            num_hidden_layers=pieces.LAYERS,
            num_attention_heads=pieces.HEADS,
            image_size=SIDE,
            patch_size=PATCH,
        ),
        text_config=LlamaConfig(**pieces.text_config(words)),
        image_token_index=words.image_token_id,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}),
        words,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=pieces.template(HEAD, TAIL, "ASSISTANT:", {"image": "<image>\n{{ '' }}"}),
    )
    pieces.save(LlavaForConditionalGeneration(config), processor, folder, seed)
