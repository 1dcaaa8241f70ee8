"""Janus (2410.13848), its understanding half: SigLIP and Llama. 16 tokens a picture."""

from pathlib import Path

from transformers import JanusConfig, JanusForConditionalGeneration, JanusImageProcessor, JanusProcessor

from families import pieces

SIDE, PATCH = 32, 8
TOKENS = (SIDE // PATCH) ** 2
NAMED = {"image_token": "<image_placeholder>", "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"}
END = "<｜end▁of▁sentence｜>"
HEAD = "{% if m.role == 'user' %}<|User|>: {% elif m.role == 'assistant' %}<|Assistant|>: {% endif %}"
TAIL = "{% if m.role == 'assistant' %}" + END + "{% else %}\n\n{% endif %}"


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer(NAMED, ["<|User|>", "<|Assistant|>"], END)
    config = JanusConfig(
        vision_config={
            "hidden_size": pieces.WIDTH,
            "num_hidden_layers": pieces.LAYERS,
            "num_attention_heads": pieces.HEADS,
            "mlp_ratio": 1.5,
            "image_size": SIDE,
            "patch_size": PATCH,
            "projection_dim": pieces.WIDTH,
            "num_image_tokens": TOKENS,
        },
        vq_config={
            "embed_dim": 4,
            "num_embeddings": 32,
            "latent_channels": 16,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
            "num_patches": SIDE // PATCH,
            "projection_dim": pieces.WIDTH,
            "image_token_embed_dim": pieces.WIDTH,
        },
        text_config=pieces.text_config(words, model_type="llama"),
        image_token_id=words.image_token_id,
    )
    processor = JanusProcessor(
        JanusImageProcessor(size={"height": SIDE, "width": SIDE}, min_size=2),
        words,
        num_image_tokens=TOKENS,
        chat_template=pieces.template(HEAD, TAIL, "<|Assistant|>:", {"image": "<image_placeholder>\n{{ '' }}"}),
    )
    pieces.save(JanusForConditionalGeneration(config), processor, folder, seed)
