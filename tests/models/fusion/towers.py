"""Tiny Hugging Face models in folders, as a user would have them from the hub."""

from pathlib import Path

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    HubertConfig,
    HubertModel,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipVisionModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

SIDE, PATCH = 16, 4
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
VISION = {**SIZES, "image_size": SIDE, "patch_size": PATCH}
TEXT = {**SIZES, "vocab_size": 40, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2}
SPEECH = {
    **SIZES,
    "conv_dim": (8, 8),
    "conv_kernel": (10, 4),
    "conv_stride": (80, 4),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 20,
}
SQUARE = {"height": SIDE, "width": SIDE}


def whisper_config() -> WhisperConfig:
    return WhisperConfig(
        vocab_size=64,
        num_mel_bins=10,
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_source_positions=100,
        max_target_positions=32,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )


def _clip():
    return CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION)), CLIPImageProcessor(
        size={"shortest_edge": SIDE}, crop_size=SQUARE
    )


def _siglip():
    return SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION)), SiglipImageProcessor(size=SQUARE)


def _siglip_vision():
    config = SiglipConfig(text_config=TEXT, vision_config=VISION).vision_config
    return SiglipVisionModel(config), SiglipImageProcessor(size=SQUARE)


def _vit():
    return ViTForImageClassification(ViTConfig(**VISION)), ViTImageProcessor(size=SQUARE)


def _whisper():
    extractor = WhisperFeatureExtractor(feature_size=10, chunk_length=2)
    return WhisperForConditionalGeneration(whisper_config()), extractor


def _wav2vec2():
    return Wav2Vec2ForCTC(Wav2Vec2Config(**SPEECH)), Wav2Vec2FeatureExtractor(return_attention_mask=False)


def _hubert():
    return HubertModel(HubertConfig(**SPEECH, feat_extract_norm="layer")), Wav2Vec2FeatureExtractor()


IMAGE = {"clip": _clip, "siglip": _siglip, "siglip_vision": _siglip_vision, "vit": _vit}
AUDIO = {"whisper": _whisper, "wav2vec2": _wav2vec2, "hubert": _hubert}


def save(name: str, folder: Path) -> str:
    """A model and its own processor in a folder; weights from a wide distribution, so that media matter."""
    torch.manual_seed(0)
    model, processor = {**IMAGE, **AUDIO}[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)
