"""Voxtral (2507.13264): a processor that reads conversations only, behind the manner of the others.

Its tokenizer is Mistral's own (`pip install 'harken[voxtral]'`): it puts control tokens in by itself and reads none in
a text. Here a conversation is written with them, and each stretch between two of them is read by that tokenizer.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AddedToken

from harken.models.architectures.architecture import Architecture

BEGIN, SOUND = "[BEGIN_AUDIO]", "[AUDIO]"
FRAMES_A_STATE, STATES_A_TOKEN = 2, 4
"""The encoder halves the frames; its states are joined by fours to one token."""


class Words:
    """Mistral's tokenizer, as one that reads control tokens in a text."""

    chat_template = "v7"

    def __init__(self, backend: Any):
        self.backend = backend
        self.eos_token_id, self.pad_token_id = backend.eos_token_id, backend.pad_token_id
        self.all_special_ids = list(backend.all_special_ids)
        self.controls = dict(
            zip(backend.convert_ids_to_tokens(self.all_special_ids), self.all_special_ids, strict=True)
        )
        self.added_tokens_decoder = {i: AddedToken(token, special=True) for token, i in self.controls.items()}
        longest = sorted(self.controls, key=len, reverse=True)
        self._stretches = re.compile("(" + "|".join(re.escape(token) for token in longest) + ")")

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
        """The ids of a text."""
        ids: list[int] = []
        for stretch in self._stretches.split(text):
            if stretch in self.controls:
                ids.append(self.controls[stretch])
            elif stretch:
                ids += self.backend.encode(stretch, add_special_tokens=False)
        return {"input_ids": ids}

    def convert_tokens_to_ids(self, token: str) -> int:
        """The id of a control token."""
        return self.controls[token]

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> Any:
        """What stands for an id, or for several."""
        return self.backend.convert_ids_to_tokens(ids)

    def decode(self, ids: Any, skip_special_tokens: bool = False) -> str:
        """The text of ids."""
        return str(self.backend.decode([int(i) for i in ids], skip_special_tokens=skip_special_tokens))


class Reader:
    """Voxtral's processor, as one that is called with a text and sounds.

    Args:
        hf: `VoxtralProcessor`.
    """

    audio_token = SOUND

    def __init__(self, hf: Any):
        self.hf, self.feature_extractor, self.tokenizer = hf, hf.feature_extractor, Words(hf.tokenizer)
        self.chat_template = self.tokenizer.chat_template

    def apply_chat_template(self, turns: list[dict[str, Any]], tokenize: bool, add_generation_prompt: bool) -> str:
        """A conversation as the family writes it; a question ends where its answer begins, so nothing asks for one."""
        out = "<s>"
        for turn in turns:
            said = "".join(part["text"] if part["type"] == "text" else BEGIN + SOUND for part in turn["content"])
            match turn["role"]:
                case "system":
                    out += f"[SYSTEM_PROMPT]{said}[/SYSTEM_PROMPT]"
                case "user":
                    out += f"[INST]{said}[/INST]"
                case _:
                    out += f"{said}</s>"
        return out

    def __call__(
        self,
        text: list[str],
        audio: Sequence[np.ndarray] = (),
        sampling_rate: int = 16_000,
        return_tensors: str = "pt",
        add_special_tokens: bool = False,
    ) -> dict[str, torch.Tensor]:
        """Ids (1, T) of one conversation, and the frames (C, M, F) of all pieces of its sounds."""
        pieces = [self._frames(sound, sampling_rate) for sound in audio]
        each = self.feature_extractor.nb_max_frames // FRAMES_A_STATE // STATES_A_TOKEN
        tokens = iter([SOUND * (len(piece) * each) for piece in pieces])
        whole = re.sub(re.escape(SOUND), lambda _: next(tokens), text[0])
        made = {"input_ids": torch.tensor([self.tokenizer(whole)["input_ids"]])}
        return made | ({"input_features": torch.cat(pieces)} if pieces else {})

    def _frames(self, sound: np.ndarray, rate: int) -> torch.Tensor:
        """A sound as pieces of 30 seconds, the last filled up with silence: (C, M, F)."""
        extractor = self.feature_extractor
        made = extractor(
            sound,
            sampling_rate=rate,
            padding=True,
            truncation=False,
            pad_to_multiple_of=extractor.n_samples,
            return_tensors="pt",
        )["input_features"]
        return made.reshape(extractor.feature_size, -1, extractor.nb_max_frames).transpose(0, 1)

    def save_pretrained(self, folder: str) -> None:
        """Write the processor's own files."""
        self.hf.save_pretrained(folder)


VOXTRAL = Architecture(configs=("VoxtralConfig",), reader=Reader)
