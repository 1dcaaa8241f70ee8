"""Gemma 4: patches with positions, a conformer for sound, embeddings for each layer. Up to 70 tokens a picture."""

from pathlib import Path

from transformers import (
    Gemma4AudioFeatureExtractor,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4ImageProcessor,
    Gemma4Processor,
)

from families import pieces
from harken.models.novideo import NoVideo

PATCH, POOL, TOKENS = 8, 2, 70
NAMED = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
END = "<turn|>"
HEAD = "<|turn>{% if m.role == 'assistant' %}model{% else %}{{ m.role }}{% endif %}{{ '\n' }}"


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer(NAMED, ["<|turn>", "<|video|>"], END, start="<bos>")
    config = Gemma4Config(
        text_config=pieces.text_config(
            words,
            head_dim=16,
            global_head_dim=16,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
            vocab_size_per_layer_input=len(words),
            hidden_size_per_layer_input=8,
        ),
        vision_config={
            "hidden_size": pieces.WIDTH,
            "intermediate_size": pieces.INNER,
            "num_hidden_layers": pieces.LAYERS,
            "num_attention_heads": pieces.HEADS,
            "num_key_value_heads": pieces.HEADS,
            "head_dim": 16,
            "patch_size": PATCH,
            "pooling_kernel_size": POOL,
            "position_embedding_size": 64,
        },
        audio_config={
            "hidden_size": pieces.WIDTH,
            "num_hidden_layers": pieces.LAYERS,
            "num_attention_heads": pieces.HEADS,
            "subsampling_conv_channels": [128, 8],
            "output_proj_dims": pieces.WIDTH,
        },
        image_token_id=words.image_token_id,
        boi_token_id=words.boi_token_id,
        eoi_token_id=words.eoi_token_id,
        audio_token_id=words.audio_token_id,
        boa_token_id=words.boa_token_id,
        eoa_token_index=words.eoa_token_id,
        video_token_id=words.convert_tokens_to_ids("<|video|>"),
    )
    processor = Gemma4Processor(
        Gemma4AudioFeatureExtractor(),
        Gemma4ImageProcessor(patch_size=PATCH, pooling_kernel_size=POOL, max_soft_tokens=TOKENS),
        words,
        NoVideo(),
        image_seq_length=TOKENS,
        chat_template=pieces.template(
            HEAD, END + "\n", "<|turn>model\n{{ '' }}", {"image": "<|image|>", "audio": "<|audio|>"}, start="<bos>"
        ),
    )
    pieces.save(Gemma4ForConditionalGeneration(config), processor, folder, seed)
