"""InternVL 3 (2504.10479): InternViT with pixel shuffle over crops of a picture, Qwen2. 4 tokens a crop."""

from pathlib import Path

from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
)

from families import pieces
from harken.models.novideo import NoVideo

SIDE, PATCH = 32, 8
TOKENS = (SIDE // PATCH // 2) ** 2
NAMED = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer(NAMED, ["<|im_start|>"])
    config = InternVLConfig(
        vision_config={
            "hidden_size": pieces.WIDTH,
            "intermediate_size": pieces.INNER,
            "num_hidden_layers": pieces.LAYERS,
            "num_attention_heads": pieces.HEADS,
            "image_size": SIDE,
            "patch_size": PATCH,
        },
        text_config=pieces.text_config(words, model_type="qwen2"),
        image_token_id=words.context_image_token_id,
        image_seq_length=TOKENS,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size={"height": SIDE, "width": SIDE}, min_patches=1, max_patches=3, crop_to_patches=True),
        words,
        NoVideo(),
        image_seq_length=TOKENS,
        chat_template=pieces.chatml({"image": "<IMG_CONTEXT>\n{{ '' }}"}),
    )
    pieces.save(InternVLForConditionalGeneration(config), processor, folder, seed)
