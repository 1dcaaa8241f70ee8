"""Every encoder at a chosen width and depth: settings by the names that its file gives them."""

from dataclasses import MISSING, dataclass, fields
from typing import Any

from torch import nn
from transformers import AutoModelForCausalLM, BertConfig, CLIPVisionConfig, WhisperConfig

from harken.models.fusion import parts
from harken.models.fusion.heads.language import Language

WORDS = 500
"""Words that texts are made of."""


@dataclass(frozen=True)
class Size:
    """How large a part is.

    Attributes:
        width: of its states.
        layers: how many of its kind stand on each other.
    """

    width: int
    layers: int


SIZES = {"small": Size(64, 1), "medium": Size(128, 2), "large": Size(256, 4)}

CANVAS = {"height": 32, "width": 32, "channels": 3, "pixel_mean": 0.5, "pixel_std": 0.25}
MEDIUM: dict[str, dict[str, Any]] = {
    "image": CANVAS,
    "audio": {"rate": 16_000, "mels": 80, "max_seconds": 4.0},
    "numbers": {"channels": 8, "max_steps": 64, "stride": 4},
    "text": {},
}
"""What the media of each modality are like."""


def _towers(size: Size) -> dict[str, dict[str, Any]]:
    sizes = {"hidden_size": size.width, "num_hidden_layers": size.layers, "num_attention_heads": 4}
    sizes["intermediate_size"] = 4 * size.width
    whisper = WhisperConfig(
        num_mel_bins=80,
        d_model=size.width,
        encoder_layers=size.layers,
        encoder_attention_heads=4,
        encoder_ffn_dim=4 * size.width,
        decoder_layers=1,
        decoder_attention_heads=4,
        max_source_positions=200,
    )
    return {
        "image": {"config": CLIPVisionConfig(**sizes, image_size=32, patch_size=4).to_dict(), **CANVAS},
        "audio": {"config": whisper.to_dict(), "frames": 400, **MEDIUM["audio"]},
        "text": {"config": BertConfig(**sizes, vocab_size=WORDS).to_dict(), "path": "none"},
    }


def encoder(modality: str, name: str, size: Size) -> Any:
    """An encoder's settings at a size.

    Args:
        modality: whose.
        name: of its file. `pretrained` is as CLIP's, Whisper's or BERT's, with random weights that are trained.
        size: of it.
    """
    if name == "pretrained":
        return parts.encoder(modality, {"name": name, "freeze": False, **_towers(size)[modality]})
    narrow = size.width // 4
    by_name = {
        "hidden": size.width,
        "dimensions": size.width,
        "layers": size.layers,
        "depth": size.layers,
        "widths": (narrow, 2 * narrow, size.width),
        "vocabulary": WORDS,
        "patch_height": 4,
        "patch_width": 4,
    }
    kind = type(parts.encoder(modality, {"name": name, **MEDIUM[modality]}))
    has = {field.name for field in fields(kind) if field.default is not MISSING}
    return parts.encoder(modality, {"name": name, **MEDIUM[modality], **{k: v for k, v in by_name.items() if k in has}})


def decoder(size: Size) -> nn.Module:
    """The language head's layers, as transformers builds them."""
    head = Language(hidden=size.width, layers=size.layers, heads=4, intermediate=4 * size.width)
    made: nn.Module = AutoModelForCausalLM.from_config(head.build(WORDS, 1, 0))
    return made
