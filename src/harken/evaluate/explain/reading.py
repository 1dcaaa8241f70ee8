"""A prompt as a model reads it, with any of its modalities blanked; lengths stay, so placeholders still fit features.

What a blank is: a picture is one flat colour, the mean of what the model was made for; a sound is silence; a word is a
token that says nothing. Media are blanked before the processor: whatever it does with pictures and sounds, it does with
the blank ones too, so this holds for every layout of media tensors.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from harken.data.batch import EncodedPrompt
from harken.data.blobs import Blobs
from harken.data.media import audio, image
from harken.data.processor import Processor
from harken.models.fusion.model import MEDIA, FusionPreTrainedModel
from harken.models.fusion.processor import FusionProcessor
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.types import Audio, Image, Part, Prompt, Text, modality_of

WORDS, TEXT_IDS = "words", MEDIA["text"][0]
MIDDLE = 0.5
"""The grey of a blank picture where neither the model nor its processor says what a mean picture is."""


@dataclass(frozen=True)
class Reading:
    """A prompt, and what stands in the place of each of its modalities when that is blanked.

    Attributes:
        encoded: the prompt as it is.
        media: by modality the tensors that a blank one changes, as they are then.
        words: which tokens are the prompt's own words, (T,): no control tokens, placeholders or words of the template.
        neutral: the token that stands in the place of a blanked word.
        spoken: of the words that a text encoder reads, which ids make a piece, and the piece as it was written; empty
            where no encoder reads words.
        unread: the id that stands in the place of a word that is blanked for a text encoder.
    """

    encoded: EncodedPrompt
    media: Mapping[str, Mapping[str, Tensor]]
    words: Bool[Tensor, " T"]
    neutral: int
    spoken: Sequence[tuple[tuple[int, ...], str]] = ()
    unread: int = 0

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the prompt has, words last."""
        return (*self.media, WORDS) if bool(self.words.any()) or self.spoken else tuple(self.media)

    @property
    def heard_at(self) -> Int[Tensor, " W"]:
        """The places of the words among what a text encoder reads."""
        return torch.tensor([n for ids, _ in self.spoken for n in ids], dtype=torch.long)

    def without(self, blanked: Collection[str]) -> EncodedPrompt:
        """The prompt with some modalities blanked."""
        ids, media = self.encoded.ids, dict(self.encoded.media)
        if WORDS in blanked:
            ids = ids.masked_fill(self.words, self.neutral)
            if TEXT_IDS in media:
                media[TEXT_IDS] = media[TEXT_IDS].index_fill(1, self.heard_at, self.unread)
        for modality in blanked:
            media |= self.media.get(modality, {})
        return replace(self.encoded, ids=ids, media=media, media_key="")


def read(model: Model | Predictor, prompt: Prompt, blobs: Blobs) -> Reading:
    """A prompt as a model reads it.

    Raises:
        IntegrityError: if the model cannot read the prompt.
        ValueError: if a blank picture or sound of the same size does not give tensors of the same shapes.
    """
    processor = model.processor
    encoded = processor.encode(prompt, blobs)
    parts = list(parts_of(prompt))
    blanks = {"image": lambda: _flat(prompt, blobs, mean_colour(model)), "audio": lambda: _silent(prompt, blobs)}
    kinds = {"image": Image, "audio": Audio}
    media: dict[str, Mapping[str, Tensor]] = {}
    for modality, count in encoded.placeholders.items():
        if not count or modality == "text":
            continue
        if modality not in blanks:
            names = [name for name in MEDIA.get(modality, ())[:1] if name in encoded.media]
            media[modality] = {name: torch.zeros_like(encoded.media[name]) for name in names}
        elif any(isinstance(part, kinds[modality]) for part in parts):
            media[modality] = _changed(encoded, in_place_of(processor, prompt, blanks[modality]()), modality)
    words = words_of(processor, prompt, encoded.ids)
    if isinstance(model, Predictor):  # without a decoder nobody reads the conversation's tokens
        words = torch.zeros_like(words)
    spoken: Sequence[tuple[tuple[int, ...], str]] = ()
    if TEXT_IDS in encoded.media:
        spoken = processor.hf.reading.pieces(processor.render(prompt.messages))
    return Reading(encoded, media, words, neutral_token(processor), spoken, blank_of_reader(processor))


def parts_of(prompt: Prompt) -> Iterator[Part]:
    """All parts of a prompt, in order."""
    return (part for message in prompt.messages for part in message.parts)


def in_place_of(processor: Processor, prompt: Prompt, media: list[bytes | None]) -> EncodedPrompt:
    """A prompt as it is read with other media in the place of its own.

    Args:
        processor: reads.
        prompt: whose words and places.
        media: for each of its parts the bytes of a medium to put there, or None to leave it out of the store
            (a part whose bytes are needed must be given).
    """
    given = iter(media)
    with TemporaryDirectory() as scratch:
        blobs = Blobs(Path(scratch), flush=False)

        def put(part: Part) -> Part:
            data = next(given)
            if isinstance(part, Text) or data is None:
                return part
            return replace(part, sha256=blobs.put(data, modality_of(part)))

        messages = tuple(replace(m, parts=tuple(put(part) for part in m.parts)) for m in prompt.messages)
        return processor.encode(replace(prompt, messages=messages), blobs)


def bytes_of(prompt: Prompt, blobs: Blobs) -> list[bytes | None]:
    """The media of a prompt, a part each; None for words."""
    return [None if isinstance(part, Text) else blobs.read(part.sha256) for part in parts_of(prompt)]


def _flat(prompt: Prompt, blobs: Blobs, colour: tuple[int, int, int]) -> list[bytes | None]:
    """The prompt's media with each picture one flat colour."""
    out = bytes_of(prompt, blobs)
    for n, part in enumerate(parts_of(prompt)):
        data = out[n]
        if isinstance(part, Image) and data is not None:
            out[n] = image.encode_png(np.full_like(image.decode(data), colour))
    return out


def _silent(prompt: Prompt, blobs: Blobs) -> list[bytes | None]:
    """The prompt's media with each sound silent, as long as it was."""
    out = bytes_of(prompt, blobs)
    for n, part in enumerate(parts_of(prompt)):
        data = out[n]
        if isinstance(part, Audio) and data is not None:
            seen = audio.header(data)
            out[n] = audio.encode_wav(np.zeros(seen.frames, np.float32), seen.rate)
    return out


def _changed(encoded: EncodedPrompt, blank: EncodedPrompt, modality: str) -> dict[str, Tensor]:
    """The tensors of a blanked prompt that differ from the prompt's own."""
    same = torch.equal(encoded.ids, blank.ids) and encoded.media.keys() == blank.media.keys()
    if not same or any(blank.media[name].shape != tensor.shape for name, tensor in encoded.media.items()):
        raise ValueError(
            f"this model's processor makes tensors of another shape of a blank {modality} of the same size, so that it "
            "cannot be blanked alone"
        )
    return {
        name: blank.media[name] for name, tensor in encoded.media.items() if not torch.equal(tensor, blank.media[name])
    }


def mean_colour(model: Model | Predictor) -> tuple[int, int, int]:
    """The mean picture's colour: what the model's pixels are centred on, red green blue."""
    if isinstance(model.trunk, FusionPreTrainedModel):
        said = model.trunk.config.encoder_parts()["image"].pixel_mean
        each = said if isinstance(said, tuple) else (said,)
        mean = list(each * 3 if len(each) == 1 else each)
    else:
        # Hugging Face's objects: not every image processor names a mean.
        reader = getattr(model.processor.hf, "image_processor", None)
        found = getattr(reader, "image_mean", None)
        mean = list(found) if isinstance(found, list | tuple) and len(found) == 3 else [MIDDLE] * 3
    red, green, blue = (round(255 * min(1.0, max(0.0, float(level)))) for level in mean)
    return red, green, blue


def neutral_token(processor: Processor) -> int:
    """The token that stands for a blanked word: padding, if it does not end a text; else unknown, else a full stop."""
    return _neutral_of(processor.tokenizer, processor.end_id)


def blank_of_reader(processor: Processor) -> int:
    """The id that stands for a blanked word where a text encoder reads: of its own tokenizer, if it brings one."""
    own = processor.hf.reader if isinstance(processor.hf, FusionProcessor) else processor.tokenizer
    return _neutral_of(own, processor.end_id)


def _neutral_of(tokenizer: Any, end: int) -> int:
    ends = {end, tokenizer.eos_token_id}
    # Hugging Face's object: not every tokenizer knows of unknown words.
    for found in (tokenizer.pad_token_id, getattr(tokenizer, "unk_token_id", None)):
        if found is not None and found not in ends:
            return int(found)
    return int(tokenizer.encode(".", add_special_tokens=False)[-1])


def words_of(processor: Processor, prompt: Prompt, ids: Int[Tensor, " T"]) -> Bool[Tensor, " T"]:
    """Which tokens of an encoded prompt are its own words.

    The conversation is written without media, each token's place in it compared with those of the text parts, and
    then found again among the ids. Where a tokenizer does not tell places, all tokens count that are neither control
    tokens nor placeholders.
    """
    control = torch.tensor(sorted(processor.control_ids() | set(processor.placeholders.values())))
    plain = ~torch.isin(ids, control)
    rendered = processor.render(prompt.messages)
    written: Any = None
    if getattr(processor.tokenizer, "is_fast", False):
        written = processor.tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True)
    if written is None:
        return plain
    inside = np.zeros(len(rendered), bool)
    at = 0
    for part in parts_of(prompt):
        if isinstance(part, Text):
            text = part.text.strip()  # some templates trim
            found = rendered.find(text, at) if text else -1
            if found >= 0:
                at = found + len(text)
                inside[found:at] = True
    mine = [bool(inside[start:end].any()) for start, end in written["offset_mapping"]]
    out = torch.zeros(len(ids), dtype=torch.bool)
    matched = SequenceMatcher(None, written["input_ids"], ids.tolist(), autojunk=False).get_matching_blocks()
    for block in matched:
        for step in range(block.size):
            out[block.b + step] = mine[block.a + step]
    return out & plain
