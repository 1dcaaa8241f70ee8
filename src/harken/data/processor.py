"""Prompts to ids and media tensors, by a Hugging Face processor. Knows no architecture."""

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image as Pillow
from torch import Tensor

from harken.data.batch import EncodedPrompt, media_key
from harken.data.blobs import Blobs
from harken.data.media import audio, image, numbers
from harken.data.transcriber import FOLDER, Transcriber
from harken.types import Audio, Completion, Image, Message, Numbers, Part, Prompt, Text, modality_of

MODALITIES = ("image", "audio", "numbers", "text")
MARKER = "harken"  # an answer that is easy to find again in what a template wrote
PER_TOKEN = ("token_type_ids", "seq_mask")  # what the names of tensors with one entry a token end with
SAMPLES = ("samples", "sample_lengths", "sample_extents")
"""Media tensors of sounds as they are, (n, S): how much of each is real, and how much of it the processor read."""
FRAMES = ("feature_attention_mask", "input_features_mask")  # which frames of a sound are real


class IntegrityError(ValueError):
    """A medium would be lost, or one would be invented."""


def _part(part: Part) -> dict[str, str]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image():
            return {"type": "image"}
        case Audio():
            return {"type": "audio"}
        case Numbers():
            return {"type": "numbers"}


def _has_words(prompt: Prompt) -> bool:
    return any(isinstance(p, Text) and p.text.strip() for message in prompt.messages for p in message.parts)


class Processor:
    """A Hugging Face processor (or a plain tokenizer) behind harken's records.

    Attributes:
        end_id: the token that ends an answer.
        opening: what the chat template puts before an answer; a policy writes it first, and it is no part of the text.
        placeholders: the id of each modality's placeholder; only of those that the model takes.

    Args:
        hf: the Hugging Face processor; it needs a chat template.
        transcriber: writes down the words of sounds, for a model that hears none.

    Raises:
        ValueError: if there is no chat template, or no end-of-turn token, or a transcriber for a model that hears.
    """

    def __init__(self, hf: Any, transcriber: Transcriber | None = None):
        self.hf = hf
        # A text-only model brings a tokenizer and no processor: these are Hugging Face's objects, not ours.
        self.tokenizer = getattr(hf, "tokenizer", hf)
        if not (getattr(hf, "chat_template", None) or self.tokenizer.chat_template):
            raise ValueError(
                "this model has no chat template, so harken cannot know how a prompt is written for it; "
                "set `chat_template` in its processor (instruction-tuned models bring one)"
            )
        if self.tokenizer.eos_token_id is None:
            raise ValueError("this model's tokenizer has no eos_token; harken needs one to know where an answer ends")
        self.end_id: int = self._end_of_turn()
        self.opening = self._before_answer()
        pad = self.tokenizer.pad_token_id
        self.pad_id: int = self.tokenizer.eos_token_id if pad is None else pad
        self.placeholders: dict[str, int] = {}
        for modality in MODALITIES:
            # The tokenizer's word comes first: some processors (Gemma 3) name the token that a picture begins with.
            name = f"{modality}_token"
            token = getattr(self.tokenizer, name, None) or getattr(hf, name, None)
            if token is not None:
                self.placeholders[modality] = self.tokenizer.convert_tokens_to_ids(token)
        self.transcriber: Transcriber | None = None
        if transcriber is not None:
            self.listen_by(transcriber)
        self._special = frozenset(self.tokenizer.convert_ids_to_tokens(sorted(self.control_ids())))
        # transformers once called it `audios`, and processors that models bring with them may still do so.
        self._sounds = "audios" if "audios" in inspect.signature(hf.__call__).parameters else "audio"

    @property
    def takes(self) -> tuple[str, ...]:
        """The modalities that a prompt may have besides text, sounds whose words are written down among them."""
        heard = ["audio"] if self.transcriber is not None else []
        return (*(modality for modality in self.placeholders if modality != "text"), *heard)

    def listen_by(self, transcriber: Transcriber) -> None:
        """Have the words of sounds written down in their places.

        Raises:
            ValueError: if the model hears by itself.
        """
        if "audio" in self.placeholders:
            raise ValueError("speech_to_text is for a model that hears nothing, and this one takes audio; leave it out")
        self.transcriber = transcriber

    @property
    def rate(self) -> int:
        """Samples a second of the sounds that the model takes; 16,000 for a model without ears."""
        extractor = getattr(self.hf, "feature_extractor", None)
        return int(getattr(extractor, "sampling_rate", 16_000))

    @property
    def series_shape(self) -> tuple[int, int]:
        """The most steps of numbers, and the numbers a step, that the model takes; none of a model that takes none."""
        return getattr(self.hf, "series_shape", (0, 0))

    def encode(self, prompt: Prompt, blobs: Blobs, samples: bool = False) -> EncodedPrompt:
        """One prompt as ids and media tensors, ready for `data.batch.collate`.

        Args:
            prompt: what is asked.
            blobs: where its media lie.
            samples: whether sounds are wanted as samples besides, for `models.hearing`; only of harken's own family.

        Raises:
            IntegrityError: if a medium of the prompt would not reach the model, or a text holds one of the model's
                control tokens.
        """
        prompt = self._in_words(prompt, blobs)
        self._check_text(prompt)
        media = [part for message in prompt.messages for part in message.parts if not isinstance(part, Text)]
        given: Counter[str] = Counter(modality_of(part) for part in media)
        if "text" in self.placeholders and _has_words(prompt):
            given["text"] = 1  # what is said in a prompt is one medium to a text encoder
        for modality in given:
            if modality not in self.placeholders:
                raise IntegrityError(
                    f"prompt {prompt.id!r} has {given[modality]} {modality} part(s), but this model takes none; "
                    f"leave these prompts out, or choose a model that takes {modality}"
                )
        # As Pillow's pictures: an array with three rows would be taken for three colours.
        pictures = [
            Pillow.fromarray(image.decode(blobs.read(part.sha256))) for part in media if isinstance(part, Image)
        ]
        sounds = [audio.decode(blobs.read(part.sha256), self.rate) for part in media if isinstance(part, Audio)]
        keywords: dict[str, Any] = {"return_tensors": "pt", "add_special_tokens": False}
        if pictures:
            # A list for each prompt: some families show several pictures of one prompt in another way than one.
            keywords["images"] = [pictures]
        if sounds:
            keywords[self._sounds] = sounds
            keywords["sampling_rate"] = self.rate
            keywords |= self._with_samples() if samples else {}
        series = [numbers.decode(blobs.read(part.sha256)) for part in media if isinstance(part, Numbers)]
        if series:
            keywords["numbers"] = series
        made = dict(self.hf(text=[self.render(prompt.messages)], **keywords))
        self._check_heard(prompt, sounds, made)
        return self._checked(prompt, given, made)

    def encode_completion(self, completion: Completion) -> Int[Tensor, " T"]:
        """The ids of an answer, with the end-of-turn token when it finished by itself.

        Raises:
            IntegrityError: if the text holds one of the model's control tokens.
        """
        found = [token for token in self._special if token in completion.text]
        if found:
            raise IntegrityError(
                f"completion {completion.id!r} holds the control token {found[0]!r} as text; take it out of the text"
            )
        ids = self.encode_text(self.opening + completion.text)
        if completion.finished or not ids:
            ids = [*ids, self.end_id]
        return torch.tensor(ids, dtype=torch.long)

    def decode(self, ids: Int[Tensor, " T"]) -> str:
        """The text of a completion's ids; control tokens left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).removeprefix(self.opening)

    def save(self, folder: str) -> None:
        """Write the Hugging Face processor's files, and what writes down the words of sounds, if anything."""
        self.hf.save_pretrained(folder)
        if self.transcriber is not None:
            self.transcriber.save(Path(folder) / FOLDER)

    def encode_text(self, text: str) -> list[int]:
        """The ids of a text as it stands, control tokens in it read as such."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _with_samples(self) -> dict[str, bool]:
        """What has the processor keep samples.

        Raises:
            ValueError: if it cannot.
        """
        if "samples" not in inspect.signature(self.hf.__call__).parameters:
            raise ValueError(
                f"samples of sounds are kept for models of harken's own family alone, and this is a "
                f"{type(self.hf).__name__}: name input_features in attack.radius"
            )
        return {"samples": True}

    def _end_of_turn(self) -> int:
        """The id that ends an answer: the control token that the chat template puts behind one, else eos.

        They differ in some families: Gemma's answers end with `<end_of_turn>`, its documents with `<eos>`.
        """
        turns = (Message("user", (Text("a"),)), Message("assistant", (Text(MARKER),)))
        _, found, behind = self.render(turns, ask=False).rpartition(MARKER)
        ids = self.encode_text(behind.lstrip()) if found else []
        return ids[0] if ids and ids[0] in self.control_ids() else self.tokenizer.eos_token_id

    def _before_answer(self) -> str:
        """What the chat template puts between the place where an answer is asked for and the answer itself.

        Mostly nothing; a space in some families, an empty thought in others. A policy learns to write it first.
        """
        asked = (Message("user", (Text("a"),)),)
        whole = self.render((*asked, Message("assistant", (Text(MARKER),))), ask=False)
        begun = self.render(asked, ask=True)
        before, found, _ = whole.rpartition(MARKER)
        return before.removeprefix(begun) if found and before.startswith(begun) else ""

    def control_ids(self) -> frozenset[int]:
        """The ids of control tokens."""
        added = self.tokenizer.added_tokens_decoder.items()
        return frozenset({*self.tokenizer.all_special_ids, *(i for i, token in added if token.special)})

    def render(self, messages: tuple[Message, ...], ask: bool = True) -> str:
        """A conversation as the chat template writes it; with `ask`, up to where the next answer begins."""
        turns: list[dict[str, Any]] = []
        for message in messages:
            parts = [_part(part) for part in message.parts]
            plain = all(part["type"] == "text" for part in parts)
            content = "".join(part["text"] for part in parts) if plain else parts
            turns.append({"role": message.role, "content": content})
        if self.hf is not self.tokenizer:
            # A multimodal template may know only lists of parts.
            for turn in turns:
                if isinstance(turn["content"], str):
                    turn["content"] = [{"type": "text", "text": turn["content"]}]
        return self.hf.apply_chat_template(turns, tokenize=False, add_generation_prompt=ask)

    def _in_words(self, prompt: Prompt, blobs: Blobs) -> Prompt:
        """The prompt with the words of each sound in its place, on lines of their own, where there is a transcriber."""
        if self.transcriber is None:
            return prompt
        messages = []
        for message in prompt.messages:
            parts = list(message.parts)
            for i, part in enumerate(parts):
                if isinstance(part, Audio):
                    words = self.transcriber.words(blobs.read(part.sha256))
                    if not words:
                        raise IntegrityError(
                            f"prompt {prompt.id!r}: no words were heard in the sound {part.sha256[:12]}, and nothing "
                            "else of it would reach the model; leave the prompt out, or choose a model that takes audio"
                        )
                    parts[i] = Text("\n" * (i > 0) + words + "\n" * (i + 1 < len(parts)))
            messages.append(replace(message, parts=tuple(parts)))
        return replace(prompt, messages=tuple(messages))

    def _check_text(self, prompt: Prompt) -> None:
        for message in prompt.messages:
            for part in message.parts:
                if not isinstance(part, Text):
                    continue
                found = [token for token in self._special if token in part.text]
                if found:
                    raise IntegrityError(
                        f"prompt {prompt.id!r}: the text holds the model's control token {found[0]!r}, which the model "
                        "would read as a control and not as words; take it out of the text"
                    )

    def _check_heard(self, prompt: Prompt, sounds: Sequence[np.ndarray], made: Mapping[str, Any]) -> None:
        """Refuse a sound of which an extractor keeps the beginning only (Whisper's: 30 seconds)."""
        masks = [made[name] for name in FRAMES if name in made]
        if not masks or not sounds:
            return
        extractor = self.hf.feature_extractor
        hop = extractor.hop_length
        for sound, mask in zip(sounds, masks[0], strict=True):
            heard = int(mask.sum()) * hop
            if len(sound) > heard + 4 * hop:
                raise IntegrityError(
                    f"prompt {prompt.id!r}: a sound of {len(sound) / self.rate:.1f} s, of which the model would hear "
                    f"the first {heard / self.rate:.1f} s; cut it, or leave the prompt out"
                )

    def _checked(self, prompt: Prompt, given: Mapping[str, int], made: dict[str, Tensor]) -> EncodedPrompt:
        ids = made.pop("input_ids")[0]
        made.pop("attention_mask", None)
        per_token = {name: made.pop(name)[0] for name in list(made) if name.endswith(PER_TOKEN)}
        counts = {m: int((ids == token).sum()) for m, token in self.placeholders.items()}
        for modality, count in counts.items():
            if bool(count) != bool(given.get(modality, 0)):
                raise IntegrityError(
                    f"prompt {prompt.id!r} has {given.get(modality, 0)} {modality} part(s), but its encoding has "
                    f"{count} {modality} placeholders: the model's chat template or processor drops them"
                )
        if given and not made:
            raise IntegrityError(f"prompt {prompt.id!r}: the processor made no tensors of {dict(given)}")
        return EncodedPrompt(ids, per_token, made, counts, media_key(made))
