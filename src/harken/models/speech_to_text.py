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
        made = AutoModelForSpeechSeq2Seq.from_pretrained(self.folder, dtype=torch.float32, use_safetensors=True)
        return made.eval().requires_grad_(False).to(device)

    def words(self, sound: bytes) -> str:
        """The words of an encoded sound; one longer than the model hears is heard in pieces.

        Raises:
            MediaError: if the sound does not decode.
        """
        key = hashlib.sha256(sound).hexdigest()
        if key not in self._known:
            samples = audio.decode(sound, self._extractor.sampling_rate)
            # Transformers' object, not ours: Whisper's extractor would cut off in silence what is beyond `n_samples`.
            most = getattr(self._extractor, "n_samples", len(samples))
            pieces = [self._of(samples[start : start + most]) for start in range(0, len(samples), most)]
            self._known[key] = " ".join(piece for piece in pieces if piece)
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
        """Copy the folder, so that the model that it writes for needs no other."""
        if folder.resolve() != self.folder.resolve():
            shutil.copytree(self.folder, folder, dirs_exist_ok=True)


def speech_to_text_beside(folder: Path) -> SpeechToText | None:
    """The one that a model's folder holds, if any."""
    inside = folder / FOLDER
    return SpeechToText(inside) if inside.is_dir() else None
