"""Voxtral (2507.13264): Whisper's encoder and Llama, read by Mistral's own tokenizer. Pieces of two seconds here."""

import base64
import json
from pathlib import Path

from transformers import VoxtralConfig, VoxtralForConditionalGeneration, WhisperFeatureExtractor
from transformers.models.voxtral.processing_voxtral import VoxtralProcessor
from transformers.tokenization_mistral_common import MistralCommonBackend

from families import pieces

SECONDS, MELS = 2, 16
CONTROLS = [
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]",
    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", "<SPECIAL_20>", "<SPECIAL_21>", "<SPECIAL_22>",
    "<SPECIAL_23>", "[AUDIO]", "[BEGIN_AUDIO]", "[TRANSCRIBE]",
]  # fmt: skip
WORDS = ["Wh", "ich", "It", " is", " the"]


def tekken(folder: Path) -> Path:
    """Mistral's tokenizer file, with bytes and a few words."""
    tokens = [bytes([i]) for i in range(256)] + [word.encode() for word in WORDS]
    vocab = [
        {"rank": n, "token_bytes": base64.b64encode(token).decode(), "token_str": None}
        for n, token in enumerate(tokens)
    ]
    special = [{"rank": n, "token_str": token, "is_control": True} for n, token in enumerate(CONTROLS)]
    data = {
        "vocab": vocab,
        "special_tokens": special,
        "config": {
            "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
            "num_vocab_tokens": len(vocab),
            "default_vocab_size": len(vocab) + len(special),
            "default_num_special_tokens": len(special),
            "version": "v7",
        },
        "version": 7,
        "type": "Tekken",
        "audio": {
            "sampling_rate": 16_000,
            "frame_rate": 12.5,
            "chunk_length_s": float(SECONDS),
            "audio_encoding_config": {"num_mel_bins": MELS, "hop_length": 160, "window_size": 400},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tekken.json"
    path.write_text(json.dumps(data))
    return path


def save(folder: Path, seed: int = 0) -> None:
    words = MistralCommonBackend(tokenizer_path=str(tekken(folder)))
    config = VoxtralConfig(
        audio_config={
            "num_mel_bins": MELS,
            "hidden_size": pieces.WIDTH,
            "num_hidden_layers": pieces.LAYERS,
            "num_attention_heads": pieces.HEADS,
            "intermediate_size": 4 * pieces.WIDTH,
            "max_source_positions": 50 * SECONDS,
        },
        text_config=pieces.text_config(words, model_type="llama"),
        audio_token_id=24,
    )
    processor = VoxtralProcessor(WhisperFeatureExtractor(feature_size=MELS, chunk_length=SECONDS), words)
    pieces.save(VoxtralForConditionalGeneration(config), processor, folder, seed)
