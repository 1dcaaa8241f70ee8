"""The family's processor: pictures onto a canvas, sounds to log-mel frames, text to ids with placeholders put in."""

from typing import Any, no_type_check

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin, WhisperFeatureExtractor

from harken.models.fusion.config import AudioEncoderConfig, FusionConfig, ImageEncoderConfig, audio_tokens

IMAGE, AUDIO, USER, ASSISTANT, SYSTEM, END = "<image>", "<audio>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"

CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|{{ message.role }}|>"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'text' -%}{{ part.text }}{%- else -%}<{{ part.type }}>{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- if message.role == 'assistant' -%}<|end|>{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def feature_extractor(config: AudioEncoderConfig) -> WhisperFeatureExtractor:
    """Log-mel frames of 25 ms every 10 ms, by transformers' extractor (2212.04356, section 2.2)."""
    return WhisperFeatureExtractor(
        feature_size=config.mels,
        sampling_rate=config.rate,
        hop_length=config.hop,
        n_fft=config.rate * 25 // 1000,
        chunk_length=int(config.max_seconds),
    )


class FusionProcessor(ProcessorMixin):
    """Tokenizer, log-mel extractor and picture canvas in one Hugging Face processor.

    Args:
        feature_extractor: makes log-mel frames; its rate is the rate of the arrays given.
        tokenizer: has `<image>` and `<audio>` as special tokens.
        image_encoder: the image encoder's configuration, as in `FusionConfig`; None for a model that does not see.
        hears: whether the model has an audio encoder.
        chat_template: Jinja; the family's own if None.
    """

    image_encoder: dict[str, Any] | None
    hears: bool

    @no_type_check  # transformers reads the argument names from the function's code, which a checker's wrapper hides
    def __init__(
        self,
        feature_extractor: WhisperFeatureExtractor,
        tokenizer: PreTrainedTokenizerBase,
        image_encoder: dict[str, Any] | None = None,
        hears: bool = True,
        chat_template: str | None = None,
    ):
        self.image_encoder = image_encoder
        self.hears = hears
        self.image_token, self.audio_token = IMAGE, AUDIO
        super().__init__(feature_extractor, tokenizer, chat_template=chat_template or CHAT_TEMPLATE)

    def canvas(self, picture: np.ndarray) -> Tensor:
        """A picture (h, w, 3) uint8 on the model's canvas, (C, H, W) in 0..1: aspect kept, top left, black around.

        A picture that fits is not scaled up when its height is the canvas's already.
        """
        config = ImageEncoderConfig(**(self.image_encoder or {}))
        image = Pillow.fromarray(picture).convert("L" if config.channels == 1 else "RGB")
        scale = min(config.height / image.height, config.width / image.width)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        if size != image.size:
            image = image.resize(size, Pillow.Resampling.BILINEAR)
        pixels = np.asarray(image, np.float32).reshape(image.height, image.width, config.channels) / 255
        canvas = np.zeros((config.height, config.width, config.channels), np.float32)
        canvas[: image.height, : image.width] = pixels
        return torch.from_numpy(canvas).permute(2, 0, 1)

    def __call__(
        self,
        text: str | list[str],
        images: list[Any] | None = None,
        audio: list[np.ndarray] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Ids with each placeholder repeated as often as its medium has features, and the media's tensors.

        Args:
            text: one or several rendered conversations.
            images: pictures of all conversations in order, each uint8 (h, w, 3) (or PIL images); or a list of them
                for each conversation, as transformers' chat templates give them.
            audio: sounds in order, each float32 (samples,) at the feature extractor's rate.
            kwargs: for the tokenizer (`padding`, `return_tensors`, `add_special_tokens`).

        Raises:
            ValueError: if placeholders and media differ in number, or a sound is longer than the model hears.
        """
        texts = [text] if isinstance(text, str) else list(text)
        kwargs.pop("sampling_rate", None)
        if images and isinstance(images[0], list):
            images = [picture for pictures in images for picture in pictures]
        data: dict[str, Any] = {}
        image_counts: list[int] = []
        if images:
            if self.image_encoder is None:
                raise ValueError(f"{len(images)} pictures were given to a model without an image encoder")
            data["pixel_values"] = torch.stack([self.canvas(np.asarray(picture)) for picture in images])
            image_counts = [ImageEncoderConfig(**self.image_encoder).tokens] * len(images)
        audio_counts: list[int] = []
        if audio:
            if not self.hears:
                raise ValueError(f"{len(audio)} sounds were given to a model without an audio encoder")
            data.update(self._frames(audio))
            audio_counts = [audio_tokens(int(n)) for n in data["feature_lengths"]]
        texts = self._expand(texts, IMAGE, image_counts)
        texts = self._expand(texts, AUDIO, audio_counts)
        return BatchFeature({**self.tokenizer(texts, **kwargs), **data})

    def _frames(self, audio: list[np.ndarray]) -> dict[str, Tensor]:
        extractor = self.feature_extractor
        longest = max(len(sound) for sound in audio)
        if longest > extractor.n_samples:
            raise ValueError(
                f"a sound of {longest / extractor.sampling_rate:.1f} s is longer than the {extractor.chunk_length} s "
                "that the model hears; cut it, or raise model.audio.max_seconds"
            )
        made = extractor(
            list(audio),
            sampling_rate=extractor.sampling_rate,
            padding="longest",
            return_attention_mask=True,
            return_tensors="pt",
        )
        return {
            "input_features": made["input_features"],
            "feature_lengths": made["attention_mask"].sum(1).clamp(max=made["input_features"].shape[2]),
        }

    @staticmethod
    def _expand(texts: list[str], token: str, counts: list[int]) -> list[str]:
        found = sum(text.count(token) for text in texts)
        if found != len(counts):
            raise ValueError(f"{found} {token} in the text, but {len(counts)} media given for it")
        given = iter(counts)
        out = []
        for text in texts:
            pieces = text.split(token)
            out.append(pieces[0] + "".join(token * next(given) + piece for piece in pieces[1:]))
        return out


AutoProcessor.register(FusionConfig, FusionProcessor)
