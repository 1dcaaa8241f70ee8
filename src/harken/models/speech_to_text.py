"""Speech to text by any sequence-to-sequence model of transformers, as Whisper (2212.04356)."""

import hashlib
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForSpeechSeq2Seq, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING

from harken.data.media import audio
from harken.data.transcriber import FOLDER, Transcriber

MOST_TOKENS = 224
"""Of one piece of a sound, as in Whisper's own program."""
LAST, MOMENT = 0.2, 0.1
"""The share of a piece, at its end, in which it may be cut; and the seconds over which it has to be quiet there."""
UNREAD = shutil.ignore_patterns(".*", "*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.onnx", "onnx")
"""What lies in folders of models and is read by nobody here: other programs' weights, pickles among them."""


def pieces_of(samples: np.ndarray, most: int, rate: int) -> list[np.ndarray]:
    """A sound in pieces of at most so many samples, cut where it is quietest near a piece's end: between words.

    Args:
        samples: (S,).
        most: samples of a piece.
        rate: of samples a second.
    """
    pieces = []
    while len(samples) > most:
        first = most - max(1, int(LAST * most))
        width = max(1, min(int(MOMENT * rate), most - first))
        energies = np.convolve(np.square(samples[first:most], dtype=np.float64), np.ones(width), mode="valid")
        cut = first + int(energies.argmin()) + width // 2
        pieces.append(samples[: max(1, cut)])
        samples = samples[max(1, cut) :]
    return [*pieces, samples]


class SpeechToText(Transcriber):
    """A speech model in a folder; it is loaded with the first sound, and a sound is heard once.

    Args:
        folder: a Hugging Face model with its feature extractor and tokenizer.

    Raises:
        ValueError: if the folder holds no such model.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        if not (self.folder / "config.json").is_file():
            raise ValueError(f"model.speech_to_text: {folder} holds no config.json; give the folder of a speech model")
        config = AutoConfig.from_pretrained(self.folder)
        if type(config) not in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING:
            raise ValueError(
                f"model.speech_to_text: {folder} holds a {config.model_type}, which writes no text from speech; give "
                "a model such as Whisper"
            )
        self._known: dict[str, str] = {}

    def __deepcopy__(self, memo: object) -> "SpeechToText":
        """A copy of a model hears by the same ears."""
        return self

    @cached_property
    def _extractor(self) -> Any:
        return AutoFeatureExtractor.from_pretrained(self.folder)

    @cached_property
    def _tokenizer(self) -> Any:
        return AutoTokenizer.from_pretrained(self.folder)

    @cached_property
    def _model(self) -> Any:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            made, told = AutoModelForSpeechSeq2Seq.from_pretrained(
                self.folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
        except OSError as error:
            raise ValueError(
                f"model.speech_to_text: {self.folder} holds no whole weights in safetensors ({error}); copy it again"
            ) from error
        if told["missing_keys"]:
            few = ", ".join(sorted(told["missing_keys"])[:3])
            raise ValueError(
                f"model.speech_to_text: {self.folder} lacks {len(told['missing_keys'])} weights ({few}), which would "
                "be random; copy it again"
            )
        return made.eval().requires_grad_(False).to(device)

    def words(self, sound: bytes) -> str:
        """The words of an encoded sound; one longer than the model hears is heard in pieces.

        Raises:
            MediaError: if the sound does not decode.
            ValueError: if the folder lacks weights.
        """
        key = hashlib.sha256(sound).hexdigest()
        if key not in self._known:
            samples = audio.decode(sound, self._extractor.sampling_rate)
            # Transformers' object, not ours: Whisper's extractor would cut off in silence what is beyond `n_samples`.
            most = getattr(self._extractor, "n_samples", len(samples))
            words = [self._of(piece) for piece in pieces_of(samples, most, self._extractor.sampling_rate)]
            self._known[key] = " ".join(word for word in words if word)
        return self._known[key]

    @torch.no_grad()
    def _of(self, samples: np.ndarray) -> str:
        rate = self._extractor.sampling_rate
        made = self._extractor(samples, sampling_rate=rate, return_attention_mask=True, return_tensors="pt")
        inputs = {name: tensor.to(self._model.device) for name, tensor in made.items()}
        room = min(MOST_TOKENS, getattr(self._model.config, "max_target_positions", 2 * MOST_TOKENS) // 2)
        ids = self._model.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=room, max_length=None)
        return str(self._tokenizer.decode(ids[0], skip_special_tokens=True)).strip()

    def save(self, folder: Path) -> None:
        """Copy what is read of the folder, so that the model that it writes for needs no other."""
        if folder.resolve() != self.folder.resolve():
            shutil.copytree(self.folder, folder, ignore=UNREAD, dirs_exist_ok=True)


def speech_to_text_beside(folder: Path) -> SpeechToText | None:
    """The one that a model's folder holds, if any."""
    inside = folder / FOLDER
    return SpeechToText(inside) if inside.is_dir() else None
