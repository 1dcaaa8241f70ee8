"""Sounds to tokens by an encoder that was trained elsewhere: Whisper's (2212.04356), wav2vec 2.0's (2006.11477)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import (
    AutoFeatureExtractor,
    SequenceFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from harken.data.batch import pad_right
from harken.models.fusion.encoders.encoder import Sound
from harken.models.fusion.encoders.tower import TowerEncoder, blank, counts_of, outline, read_configuration, states_of
from harken.models.fusion.stream import Stream

ROOM = "encoders.audio"
SECONDS = 30.0
"""Longest clip of an encoder that has no bound of its own, where none is said."""


@dataclass(frozen=True)
class Pretrained(Sound):
    """An audio encoder of transformers that reads Whisper's log-mel frames or samples; its extractor makes them.

    Whisper's reads clips of a fixed length, filled up with silence; only the states of what is sound go on.

    Attributes:
        path: the folder of the model. It is read when the family's model is made, and not needed any more then.
        freeze: whether the tower's weights stay as they are.
        layer: which of its hidden states; -1 the last, as the tower ends it.
        config: the tower's configuration, from the folder.
        frames: what it is given of each clip, where it reads frames; from the folder.
    """

    rate: int = 0
    mels: int = 0
    max_seconds: float = 0.0
    path: str = ""
    freeze: bool = True
    layer: int = -1
    config: dict[str, Any] | None = None
    frames: int = 0

    def __post_init__(self) -> None:
        if self.config is None:
            for name, value in self._from_folder().items():
                object.__setattr__(self, name, value)
        super().__post_init__()
        self.width  # noqa: B018

    def _from_folder(self) -> dict[str, Any]:
        config, extractor = read_configuration(self.path, ROOM), self.extractor()
        framed = extractor if isinstance(extractor, WhisperFeatureExtractor) else None
        theirs = {"rate": extractor.sampling_rate, "mels": framed.feature_size if framed else 0}
        for name, value in theirs.items():
            said = getattr(self, name)
            if said not in (0, value):
                raise ValueError(f"{ROOM}.{name} is {value} in the model of {self.path}, not {said}; leave it out")
        longest = float(framed.chunk_length) if framed else SECONDS
        if framed and self.max_seconds > longest:
            raise ValueError(
                f"{ROOM}.max_seconds is at most the {longest:g} that the model of {self.path} hears, not "
                f"{self.max_seconds:g}"
            )
        frames = framed.nb_max_frames if framed else 0
        return {**theirs, "config": config, "frames": frames, "max_seconds": self.max_seconds or longest}

    def extractor(self) -> SequenceFeatureExtractor:
        """The tower's own feature extractor, from the folder.

        Raises:
            ValueError: if there is none, or it makes something else than Whisper's frames or samples.
        """
        try:
            found = AutoFeatureExtractor.from_pretrained(self.path)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{ROOM}.path: {self.path} has no feature extractor ({error}); copy its preprocessor_config.json too"
            ) from error
        if not isinstance(found, WhisperFeatureExtractor | Wav2Vec2FeatureExtractor):
            raise ValueError(
                f"{ROOM}.path: the model of {self.path} hears with a {type(found).__name__}; harken takes encoders "
                "with Whisper's log-mel frames or with samples, as wav2vec 2.0's"
            )
        return found

    def tokens(self, length: int) -> int:
        """States of a clip of so many frames, or samples: as many as the tower itself says."""
        assert self.config is not None
        return max(0, int(counts_of(outline(self.config), torch.tensor(length))))

    @property
    def width(self) -> int:
        """Of the tower's states."""
        assert self.config is not None
        shape = (1, self.mels, self.frames) if self.mels else (1, round(self.max_seconds * self.rate))
        try:
            with torch.no_grad():
                return states_of(outline(self.config), blank(self.config, *shape), self.layer).shape[2]
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{ROOM}: the encoder of {self.path} does not take its sounds ({error})") from error

    def build(self) -> "PretrainedAudioEncoder":
        """The encoder, with random weights; `take_weights` fetches the tower's."""
        return PretrainedAudioEncoder(self)


class PretrainedAudioEncoder(TowerEncoder):
    """`input_features` (B, F, T) or samples (B, 1, T), `feature_lengths` (B,) -> states (B, M, D)."""

    def __init__(self, settings: Pretrained):
        assert settings.config is not None
        super().__init__(settings.config, settings.path, settings.freeze)
        self.settings, self.width = settings, settings.width

    def room(self) -> str:
        """Where the recipe names it."""
        return ROOM

    def forward(self, media: Float[Tensor, "B F T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B clips of different length; what lies beyond a clip's length changes nothing."""
        lengths = torch.full((len(media),), media.shape[2], device=media.device) if lengths is None else lengths
        counts, media = counts_of(self.tower, lengths), self.as_weights(media)
        if self.settings.mels:
            states = states_of(self.tower, media, self.settings.layer)
        else:
            states = self._of_samples(media[:, 0], lengths, int(counts.max()))
        real = torch.arange(states.shape[1], device=states.device) < counts[:, None]
        return Stream(states * real[..., None], real)

    def _of_samples(self, clips: Float[Tensor, "B T"], lengths: Int[Tensor, " B"], most: int) -> Float[Tensor, "B M D"]:
        """Clips of one length at a time: a norm over time in the tower would read what others are filled up with."""
        states = clips.new_zeros(len(clips), most, self.width)
        for length in lengths.unique().tolist():
            rows = (lengths == length).nonzero()[:, 0]
            found = states_of(self.tower, clips[rows, :length], self.settings.layer)
            states = states.to(found.dtype).index_copy(0, rows, pad_right(list(found), length=most))
        return states
