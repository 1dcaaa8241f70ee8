"""The family's processor: pictures onto a canvas, sounds to log-mel frames, numbers side by side, text to ids."""

from pathlib import Path
from typing import Any, no_type_check

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from transformers import (
    AutoProcessor,
    AutoTokenizer,
    BatchFeature,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    SequenceFeatureExtractor,
    WhisperFeatureExtractor,
)

from harken.data.batch import pad_right
from harken.models.fusion import parts
from harken.models.fusion.config import FusionConfig
from harken.models.fusion.encoders.audio.pretrained import Pretrained as PretrainedAudio
from harken.models.fusion.encoders.encoder import Picture, Series, Sound
from harken.models.fusion.encoders.image.pretrained import Pretrained as PretrainedImage
from harken.models.fusion.reading import Reading
from harken.models.fusion.tokenizer import PLACEHOLDERS, template_of

READER = "text_tokenizer"
"""The folder, in a model's, of the tokenizer that a text encoder brings."""
OF_A_HUB = ("cache_dir", "force_download", "local_files_only", "token", "revision")


def feature_extractor(settings: Sound) -> SequenceFeatureExtractor:
    """Log-mel frames of 25 ms every 10 ms, by transformers' extractor (2212.04356, section 2.2); or a tower's own."""
    if isinstance(settings, PretrainedAudio):
        return settings.extractor()
    return WhisperFeatureExtractor(
        feature_size=settings.mels,
        sampling_rate=settings.rate,
        hop_length=settings.hop,
        n_fft=settings.rate * 25 // 1000,
        chunk_length=int(settings.max_seconds),
    )


class FusionProcessor(ProcessorMixin):
    """Tokenizer, log-mel extractor and picture canvas in one Hugging Face processor.

    Args:
        feature_extractor: makes log-mel frames, or what a pretrained tower hears; its rate is the rate of the arrays
            given.
        tokenizer: has the placeholders as special tokens.
        encoders: the encoders' settings by modality, as in `FusionConfig`.
        fuse: the settings of how they are joined: how many placeholders a medium has.
        chat_template: Jinja; the family's own if None.
        reader: the text encoder's tokenizer, if it has one of its own.
    """

    encoders: dict[str, dict[str, Any]]
    fuse: dict[str, Any]
    _encoders: dict[str, Any]
    _fuse: Any
    _own_reader: PreTrainedTokenizerBase | None

    @no_type_check  # transformers reads the argument names from the function's code, which a checker's wrapper hides
    def __init__(
        self,
        feature_extractor: SequenceFeatureExtractor,
        tokenizer: PreTrainedTokenizerBase,
        encoders: dict[str, dict[str, Any]] | None = None,
        fuse: dict[str, Any] | None = None,
        chat_template: str | None = None,
        reader: PreTrainedTokenizerBase | None = None,
    ):
        self.encoders, self.fuse = dict(encoders or {}), dict(fuse or {"name": "joined"})
        self._encoders = {m: parts.encoder(m, said) for m, said in self.encoders.items()}
        self._fuse = parts.fuse(self.fuse)
        for modality, token in PLACEHOLDERS.items():
            if modality in self.encoders:
                setattr(self, f"{modality}_token", token)
        super().__init__(feature_extractor, tokenizer, chat_template=chat_template or template_of(self.encoders))
        self._own_reader = reader

    def save_pretrained(self, save_directory: Any, push_to_hub: bool = False, **kwargs: Any) -> Any:
        """As transformers does; the text encoder's tokenizer in a folder of its own."""
        if self._own_reader is not None:
            self._own_reader.save_pretrained(str(Path(save_directory) / READER))
        return super().save_pretrained(save_directory, push_to_hub, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> "FusionProcessor":
        """As transformers does, with the text encoder's tokenizer."""
        made: FusionProcessor = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        if "text" in made.encoders and made._encoders["text"].brings_tokenizer:
            hub = {key: kwargs[key] for key in OF_A_HUB if key in kwargs}
            made._own_reader = AutoTokenizer.from_pretrained(pretrained_model_name_or_path, subfolder=READER, **hub)
        return made

    @property
    def reader(self) -> PreTrainedTokenizerBase:
        """The tokenizer that a text encoder reads with: one of its own, or the model's."""
        return self.tokenizer if self._own_reader is None else self._own_reader

    @property
    def reading(self) -> Reading:
        """How a text encoder reads the words of conversations."""
        return Reading(self._encoders["text"], self.reader, self.tokenizer.all_special_tokens)

    def _settings(self, modality: str, count: int) -> Any:
        if modality not in self._encoders:
            words = {"image": "pictures", "audio": "sounds"}.get(modality, modality)
            raise ValueError(f"{count} {words} were given to a model without an encoder of {modality}")
        return self._encoders[modality]

    def canvas(self, picture: np.ndarray) -> Tensor:
        """A picture (h, w, 3) uint8 on the model's canvas, (C, H, W) in 0..1: aspect kept, top left, black around.

        A picture that fits is not scaled up when its height is the canvas's already. A pretrained tower may have an
        image processor of its own, which makes what the tower reads.
        """
        settings: Picture = self._settings("image", 1)
        if isinstance(settings, PretrainedImage) and settings.preprocess == "own":
            return settings.prepared(picture)
        image = Pillow.fromarray(picture).convert("L" if settings.channels == 1 else "RGB")
        scale = min(settings.height / image.height, settings.width / image.width)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        if size != image.size:
            image = image.resize(size, Pillow.Resampling.BILINEAR)
        pixels = np.asarray(image, np.float32).reshape(image.height, image.width, settings.channels) / 255
        canvas = np.zeros((settings.height, settings.width, settings.channels), np.float32)
        canvas[: image.height, : image.width] = pixels
        return torch.from_numpy(canvas).permute(2, 0, 1)

    def __call__(
        self,
        text: str | list[str],
        images: list[Any] | None = None,
        audio: list[np.ndarray] | None = None,
        numbers: list[np.ndarray] | None = None,
        samples: bool = False,
        **kwargs: Any,
    ) -> BatchFeature:
        """Ids with each placeholder repeated as often as its medium has features, and the media's tensors.

        A text encoder reads the words of each conversation that its placeholder stands in.

        Args:
            text: one or several rendered conversations.
            images: pictures of all conversations in order, each uint8 (h, w, 3) (or PIL images); or a list of them
                for each conversation, as transformers' chat templates give them.
            audio: sounds in order, each float32 (samples,) at the feature extractor's rate.
            numbers: vectors and time series in order, each float32 (steps, channels).
            samples: whether sounds are given as samples besides: `samples` (n, S), `sample_lengths` (n,), and
                `sample_extents` (n,), how many of them the frames were made of, silence included.
            kwargs: for the tokenizer (`padding`, `return_tensors`, `add_special_tokens`).

        Raises:
            ValueError: if placeholders and media differ in number, a sound or a text is longer than the model takes
                in, or numbers have other channels or more steps than it reads.
        """
        texts = [text] if isinstance(text, str) else list(text)
        kwargs.pop("sampling_rate", None)
        if images and isinstance(images[0], list):
            images = [picture for pictures in images for picture in pictures]
        data: dict[str, Any] = {}
        counts: dict[str, list[int]] = {"image": [], "audio": []}
        if images:
            settings = self._settings("image", len(images))
            data["pixel_values"] = torch.stack([self.canvas(np.asarray(picture)) for picture in images])
            counts["image"] = [self._fuse.tokens(settings.tokens)] * len(images)
        if audio:
            settings = self._settings("audio", len(audio))
            data.update(self._frames(audio) | (self._samples(audio) if samples else {}))
            lengths = [settings.tokens(int(n)) for n in data["feature_lengths"]]
            if min(lengths) < 1:
                raise ValueError(
                    f"a sound of {min(len(sound) for sound in audio)} samples is too short for the model's encoder to "
                    "make anything of it; leave it out"
                )
            counts["audio"] = [self._fuse.tokens(length) for length in lengths]
        if "text" in self._encoders:
            settings, read = self._encoders["text"], self.reading(texts)
            data.update(read)
            counts["text"] = [self._fuse.tokens(settings.tokens(int(n))) for n in read.get("text_lengths", ())]
        if "numbers" in self._encoders:
            counts["numbers"] = []
        if numbers:
            settings = self._settings("numbers", len(numbers))
            data.update(_series(numbers, settings))
            counts["numbers"] = [self._fuse.tokens(settings.tokens(len(series))) for series in numbers]
        for modality, each in counts.items():
            texts = _expand(texts, PLACEHOLDERS[modality], each)
        return BatchFeature({**self.tokenizer(texts, **kwargs), **data})

    @property
    def series_shape(self) -> tuple[int, int]:
        """The most steps of numbers, and the numbers a step, that the model reads; none without an encoder of them."""
        settings: Series | None = self._encoders.get("numbers")
        return (settings.max_steps, settings.channels) if settings else (0, 0)

    def _frames(self, audio: list[np.ndarray]) -> dict[str, Tensor]:
        extractor, settings = self.feature_extractor, self._settings("audio", len(audio))
        longest = max(len(sound) for sound in audio) / extractor.sampling_rate
        most = settings.max_seconds if isinstance(settings, PretrainedAudio) else extractor.chunk_length
        if longest > most:
            raise ValueError(
                f"a sound of {longest:.1f} s is longer than the {most:g} s that the model hears; cut it, or raise "
                "model.encoders.audio.max_seconds"
            )
        if settings.mels == 0:
            # One by one: a tower's extractor may norm a sound by all of what it is filled up to.
            each = [extractor(sound, sampling_rate=extractor.sampling_rate)["input_values"][0] for sound in audio]
            samples = pad_right([torch.from_numpy(np.asarray(sound, np.float32)) for sound in each])
            return {"input_features": samples[:, None], "feature_lengths": torch.tensor([len(s) for s in each])}
        made = extractor(
            [_at_least(sound, extractor.n_fft // 2 + 1) for sound in audio],
            sampling_rate=extractor.sampling_rate,
            padding="max_length" if isinstance(settings, PretrainedAudio) else "longest",
            return_attention_mask=True,
            return_tensors="pt",
        )
        return {
            "input_features": made["input_features"],
            "feature_lengths": made["attention_mask"].sum(1).clamp(max=made["input_features"].shape[2]),
        }

    def _samples(self, audio: list[np.ndarray]) -> dict[str, Tensor]:
        """What frames were made of: as far as the longest sound here goes, or a tower's whole chunk."""
        extractor, settings = self.feature_extractor, self._settings("audio", len(audio))
        if settings.mels == 0:
            raise ValueError(
                "the audio encoder of this model reads samples already: name input_features in their place"
            )
        extent = max(extractor.n_fft // 2 + 1, *(len(sound) for sound in audio))
        extent = extractor.n_samples if isinstance(settings, PretrainedAudio) else extent
        return {
            "samples": pad_right([torch.from_numpy(np.asarray(sound, np.float32)) for sound in audio], length=extent),
            "sample_lengths": torch.tensor([len(sound) for sound in audio]),
            "sample_extents": torch.full((len(audio),), extent),
        }


def _at_least(sound: np.ndarray, samples: int) -> np.ndarray:
    """A sound with silence behind it, where it is shorter than what one frame needs."""
    silence = np.zeros(max(0, samples - len(sound)), sound.dtype)
    return np.concatenate([sound, silence]) if len(silence) else sound


def _series(numbers: list[np.ndarray], settings: Series) -> dict[str, Tensor]:
    for given in numbers:
        steps, channels = given.shape
        if channels != settings.channels:
            raise ValueError(
                f"numbers of {channels} channels were given to a model that reads {settings.channels}; give these, or "
                f"say encoders.numbers.channels={channels} when the model is made"
            )
        if steps > settings.max_steps:
            raise ValueError(
                f"a series of {steps} steps is longer than the {settings.max_steps} that the model reads; cut it, or "
                "raise encoders.numbers.max_steps when the model is made"
            )
    return {
        "series": pad_right([torch.from_numpy(np.ascontiguousarray(given, np.float32)) for given in numbers]),
        "series_lengths": torch.tensor([len(given) for given in numbers]),
    }


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
