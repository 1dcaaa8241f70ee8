"""Conversations as other programs write them, and back: texts, parts with placeholders, OpenAI's parts."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harken.data.blobs import Blobs
from harken.data.media import audio, image, numbers
from harken.data.media.limits import MediaError
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.templates import shown
from harken.types import MEDIA, Audio, Image, Message, Modality, Numbers, Part, Prompt, Role, Text, modality_of

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}


def media(prompt: Prompt, modality: Modality) -> list[str]:
    """The SHA-256 of a prompt's media of one modality, one for each part, in order."""
    every = [part for m in prompt.messages for part in m.parts if not isinstance(part, Text)]
    return [part.sha256 for part in every if modality_of(part) == modality]


def data_uri(blobs: Blobs, sha256: str, modality: Modality) -> str:
    """A medium's own bytes as `data:image/png;base64,...`."""
    data = blobs.read(sha256)
    match modality:
        case "image":
            kind = f"image/{image.header(data).format.lower()}"
        case "audio":
            kind = {"MP3": "audio/mpeg"}.get(name := audio.header(data).format, f"audio/{name.lower()}")
        case "numbers":
            kind = "text/csv"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def as_text(prompt: Prompt) -> str:
    """A prompt for people to read: the last turn's text, or all turns with their roles."""
    if len(prompt.messages) == 1 and prompt.messages[0].role == "user":
        return _words(prompt.messages[0])
    return "\n\n".join(f"{message.role}: {_words(message)}" for message in prompt.messages)


def text_turns(prompt: Prompt) -> list[dict[str, Any]]:
    """Turns whose content is a string; for prompts without media."""
    return [{"role": message.role, "content": _words(message)} for message in prompt.messages]


def placeholder_turns(prompt: Prompt) -> list[dict[str, Any]]:
    """Turns of parts; a medium is a placeholder, and the media stand in order in columns of their own.

    Every part has a text, as tables want it; that of a placeholder is empty.
    """
    turns: list[dict[str, Any]] = []
    for message in prompt.messages:
        parts = [
            {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": modality_of(part), "text": ""}
            for part in message.parts
        ]
        turns.append({"role": message.role, "content": parts})
    return turns


def openai_turns(prompt: Prompt, blobs: Blobs) -> list[dict[str, Any]]:
    """Turns as OpenAI's API has them: a string where there are only words, else parts with media as base64."""
    turns: list[dict[str, Any]] = []
    for message in prompt.messages:
        content: Any = _words(message)
        if not all(isinstance(part, Text) for part in message.parts):
            content = [_openai_part(part, blobs) for part in message.parts]
        turns.append({"role": message.role, "content": content})
    return turns


def _openai_part(part: Part, blobs: Blobs) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(sha256):
            return {"type": "image_url", "image_url": {"url": data_uri(blobs, sha256, "image")}}
        case Audio(sha256):
            data = blobs.read(sha256)
            kind = audio.SUFFIXES[audio.header(data).format]
            return {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": kind}}
        case Numbers(sha256):
            return {"type": "input_numbers", "input_numbers": numbers.to_json(numbers.read(blobs.read(sha256)))}


def _words(message: Message) -> str:
    return "\n".join(part.text for part in message.parts if isinstance(part, Text))


@dataclass
class Reader:
    """Reads the turns of one record of another program.

    Attributes:
        place: of the record, for errors.
        blobs: take the media.
        folder: where paths of media start, and what they may not leave.
        waiting: media that stand in columns of their own; each placeholder takes the next.
    """

    place: str
    blobs: Blobs
    folder: Path
    waiting: dict[Modality, list[str]] = field(default_factory=lambda: {modality: [] for modality in MEDIA})

    def put(self, value: bytes | str, modality: Modality) -> str:
        """Take a medium: its bytes, a `data:` URI, or a path of a file.

        Raises:
            DataError: if it cannot be taken.
        """
        try:
            if isinstance(value, bytes):
                return self.blobs.put(value, modality)
            return self.blobs.put_reference(value, self.folder, modality)
        except MediaError as error:
            raise DataError(f"{self.place}: {modality}: {error}") from error

    def turns(self, value: Any, name: str) -> tuple[Message, ...]:
        """A conversation: a string is the user's, else turns with role and content.

        Raises:
            DataError: if it is none.
        """
        if isinstance(value, str):
            return self._with_media((Message("user", (Text(value),)),))
        if not isinstance(value, Sequence) or not value:
            raise DataError(f"{self.place}: {name} is {shown(value)}; a text or a list of turns is wanted")
        plain = all(isinstance(turn, Mapping) and isinstance(turn.get("content"), str) for turn in value)
        messages = tuple(self._turn(turn, f"{name}[{i}]") for i, turn in enumerate(value))
        return self._with_media(messages) if plain else messages

    def done(self) -> None:
        """Refuse media that no placeholder stood for.

        Raises:
            DataError: saying how many.
        """
        for modality, left in self.waiting.items():
            if left:
                raise DataError(
                    f"{self.place}: {len(left)} more {modality} media than placeholders; write one part "
                    f'{{"type": "{modality}"}} for each'
                )

    def _with_media(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Texts alone: the media stand before the first turn of the user, as TRL puts them."""
        first = next((i for i, message in enumerate(messages) if message.role == "user"), None)
        if first is None:
            return messages
        shown_first = [MEDIA[modality](sha256) for modality, each in self.waiting.items() for sha256 in each]
        self.waiting = {modality: [] for modality in MEDIA}
        one = messages[first]
        return (*messages[:first], Message(one.role, (*shown_first, *one.parts)), *messages[first + 1 :])

    def _turn(self, value: Any, at: str) -> Message:
        role = value.get("role") if isinstance(value, Mapping) else None
        if not isinstance(role, str) or role not in ROLES:
            raise DataError(f"{self.place}: {at}.role is {shown(role)}; it is one of {', '.join(ROLES)}")
        content = value.get("content")
        if isinstance(content, str):
            return Message(ROLES[role], (Text(content),) if content else ())
        if not isinstance(content, Sequence):
            raise DataError(f"{self.place}: {at}.content is {shown(content)}; a text or a list of parts is wanted")
        parts = (self._part(part, f"{at}.content[{j}]") for j, part in enumerate(content))
        return Message(ROLES[role], tuple(part for part in parts if part != Text("")))

    def _part(self, value: Any, at: str) -> Part:
        match value:
            case {"type": "text", "text": str(text)}:
                return Text(text)
            case {"type": "image_url", "image_url": {"url": str(uri)}} | {"type": "image_url", "image_url": str(uri)}:
                return Image(self.put(uri, "image"))
            case {"type": "input_audio", "input_audio": {"data": str(data)}}:
                return Audio(self.put(f"data:audio/;base64,{data}", "audio"))
            case {"type": "input_numbers", "input_numbers": {"values": values, **named}}:
                return Numbers(self._values(values, named.get("names", [])))
            case {"type": "image" | "audio" | "numbers" as modality}:
                return MEDIA[modality](self._next(modality, at))
            case _:
                raise DataError(
                    f"{self.place}: {at} is {shown(value)}; a part is text, image, audio, numbers, image_url, "
                    "input_audio or input_numbers"
                )

    def _values(self, values: Any, names: Any) -> str:
        try:
            read = numbers.table(values, names)
            return self.put(numbers.encode_csv(read.values, read.names), "numbers")
        except MediaError as error:
            raise DataError(f"{self.place}: numbers: {error}") from error

    def _next(self, modality: Modality, at: str) -> str:
        if not self.waiting[modality]:
            raise DataError(f"{self.place}: {at} is a placeholder and there is no {modality} left for it; add it")
        return self.waiting[modality].pop(0)
