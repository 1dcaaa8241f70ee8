"""Qwen2.5-Omni's thinker (2503.20215): text, pictures and sound in, text out. 25 tokens a second of sound."""

from pathlib import Path

from transformers import (
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from families import pieces, qwen_parts
from harken.models.novideo import NoVideo

MELS, SECONDS = 16, 2
SOUNDS = {"audio_token": "<|AUDIO|>", "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"}


def save(folder: Path, seed: int = 0) -> None:
    words = qwen_parts.tokenizer(SOUNDS)
    config = Qwen2_5OmniThinkerConfig(
        audio_config={
            "num_mel_bins": MELS,
            "d_model": pieces.WIDTH,
            "encoder_layers": pieces.LAYERS,
            "encoder_attention_heads": pieces.HEADS,
            "encoder_ffn_dim": pieces.INNER,
            "max_source_positions": 50 * SECONDS,
            "n_window": 25,
            "output_dim": pieces.WIDTH,
        },
        vision_config=qwen_parts.vision_config(window_size=16, fullatt_block_indexes=[1]),
        text_config=qwen_parts.text_config(words, model_type="qwen2_5_omni_text"),
        audio_token_index=words.audio_token_id,
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        audio_start_token_id=words.audio_bos_token_id,
        audio_end_token_id=words.audio_eos_token_id,
        vision_start_token_id=words.vision_bos_token_id,
        user_token_id=words("user", add_special_tokens=False)["input_ids"][0],
    )
    media = {"image": qwen_parts.IMAGE, "audio": "<|audio_bos|><|AUDIO|><|audio_eos|>"}
    processor = Qwen2_5OmniProcessor(
        image_processor=qwen_parts.picture_processor(),
        video_processor=NoVideo(),
        feature_extractor=WhisperFeatureExtractor(feature_size=MELS, chunk_length=SECONDS),
        tokenizer=words,
        chat_template=pieces.chatml(media, qwen_parts.SYSTEM),
    )
    pieces.save(Qwen2_5OmniThinkerForConditionalGeneration(config), processor, folder, seed)
