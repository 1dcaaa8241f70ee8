"""The configuration of a model of the family: a Hugging Face config whose parts are plain dictionaries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig

from harken.data.bounds import at_least


@dataclass(frozen=True)
class ImageEncoderConfig:
    """The image encoder: a convolutional stem, patches, transformer layers.

    Attributes:
        height: canvas height in pixels; pictures are scaled into the canvas, aspect kept.
        width: canvas width in pixels.
        channels: 1 for grey, 3 for colour.
        patch_height: height of a patch in pixels, even; one token a patch.
        patch_width: width of a patch in pixels, even.
        hidden: width of the encoder.
        layers: transformer layers after the patches.
        heads: attention heads of each.
        pixel_mean: taken from pixels in 0..1 before all else.
        pixel_std: what they are divided by then.
    """

    height: int = 8
    width: int = 24
    channels: int = 1
    patch_height: int = 8
    patch_width: int = 8
    hidden: int = 64
    layers: int = 1
    heads: int = 4
    pixel_mean: float = 0.2
    pixel_std: float = 0.35

    def __post_init__(self) -> None:
        at_least(self, "image", height=1, width=1, patch_height=1, patch_width=1, hidden=1, layers=0, heads=1)
        if self.hidden % self.heads:
            raise ValueError(f"image.hidden must be a multiple of image.heads, not {self.hidden} and {self.heads}")

    @property
    def tokens(self) -> int:
        """Placeholder tokens of one picture."""
        return (self.height // self.patch_height) * (self.width // self.patch_width)

    def check(self) -> None:
        """Refuse sizes that do not fit.

        Raises:
            ValueError: if a patch is odd or does not divide the canvas.
        """
        if self.patch_height % 2 or self.patch_width % 2:
            raise ValueError(f"image patches must have even sides, not {self.patch_height} x {self.patch_width}")
        if self.height % self.patch_height or self.width % self.patch_width:
            raise ValueError(
                f"a canvas of {self.height} x {self.width} pixels is not divided by patches of "
                f"{self.patch_height} x {self.patch_width}; change model.image.height/width or the patch"
            )


@dataclass(frozen=True)
class AudioEncoderConfig:
    """The audio encoder: strided convolutions over log-mel frames, transformer layers.

    Attributes:
        rate: samples a second that the model hears.
        mels: mel bands.
        hidden: width of the encoder.
        layers: transformer layers after the convolutions.
        heads: attention heads of each.
        max_seconds: longest clip.
    """

    rate: int = 16_000
    mels: int = 40
    hidden: int = 64
    layers: int = 1
    heads: int = 4
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        at_least(self, "audio", rate=1000, mels=1, hidden=1, layers=0, heads=1, max_seconds=0.01)
        if self.hidden % self.heads:
            raise ValueError(f"audio.hidden must be a multiple of audio.heads, not {self.hidden} and {self.heads}")

    @property
    def hop(self) -> int:
        """Samples between frames (10 ms)."""
        return self.rate // 100


def audio_tokens(frames: int) -> int:
    """Placeholder tokens of a clip: three convolutions of stride 2, so frames / 8, rounded up."""
    return -(-frames // 8)


class FusionConfig(PreTrainedConfig):
    """Image and audio encoders joined to a decoder-only language model from transformers."""

    model_type = "harken_fusion"

    def __init__(
        self,
        text_config: Mapping[str, Any] | PreTrainedConfig | None = None,
        image_encoder: Mapping[str, Any] | None = None,
        audio_encoder: Mapping[str, Any] | None = None,
        image_token_id: int | None = None,
        audio_token_id: int | None = None,
        **kwargs: Any,
    ):
        if isinstance(text_config, PreTrainedConfig):
            text_config = text_config.to_dict()
        text = dict(text_config or {"model_type": "qwen3"})
        self.text_config = CONFIG_MAPPING[text.pop("model_type", "qwen3")](**text)
        self.image_encoder = dict(image_encoder) if image_encoder is not None else None
        self.audio_encoder = dict(audio_encoder) if audio_encoder is not None else None
        self.image_token_id = image_token_id
        self.audio_token_id = audio_token_id
        kwargs.setdefault("tie_word_embeddings", self.text_config.tie_word_embeddings)
        super().__init__(**kwargs)

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """The language model's part (what caches and generation read)."""
        return self.text_config
