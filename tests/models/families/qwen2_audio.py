"""Qwen2-Audio (2407.10759): Whisper's encoder and Qwen2. 25 tokens a second; hears two seconds at most."""

from pathlib import Path

from transformers import (
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    WhisperFeatureExtractor,
)

from families import pieces

SECONDS, MELS = 2, 16
NAMED = {"audio_token": "<|AUDIO|>", "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"}
SYSTEM = "You are a helpful assistant."


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer(NAMED, ["<|im_start|>"])
    config = Qwen2AudioConfig(
        audio_config={
            "num_mel_bins": MELS,
            "d_model": pieces.WIDTH,
            "encoder_layers": pieces.LAYERS,
            "encoder_attention_heads": pieces.HEADS,
            "encoder_ffn_dim": pieces.INNER,
            "max_source_positions": 50 * SECONDS,
        },
        text_config=pieces.text_config(words, model_type="qwen2"),
        audio_token_index=words.audio_token_id,
    )
    sound = "{% set n.sounds = n.sounds + 1 %}Audio {{ n.sounds }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n{{ '' }}"
    counter = "{% set n = namespace(sounds=0) %}"
    processor = Qwen2AudioProcessor(
        WhisperFeatureExtractor(feature_size=MELS, chunk_length=SECONDS),
        words,
        chat_template=counter + pieces.chatml({"audio": sound}, SYSTEM),
    )
    pieces.save(Qwen2AudioForConditionalGeneration(config), processor, folder, seed)
