"""One prompt as a JSON object whose parts name files: the object of one line of a prompts file.

Parts are written as OpenAI writes them or as Hugging Face does:

    {"type": "text", "text": "What is this?"}
    {"type": "image", "image": "pics/a.png"}                          also "path" or "url" for "image"
    {"type": "image_url", "image_url": {"url": "pics/a.png"}}
    {"type": "audio", "audio": "a.wav"}                               also "path" or "url" for "audio"
    {"type": "input_audio", "input_audio": {"data": "<base64>", "format": "wav"}}
    {"type": "input_audio", "input_audio": {"path": "a.wav"}}
    {"type": "numbers", "numbers": "a.csv"}                           also "path" or "url" for "numbers"
    {"type": "numbers", "values": [[1, 2], [3, 4]], "names": ["x", "y"]}       a list a step; names as you like
    {"type": "input_numbers", "input_numbers": {"values": [1, 2]}}             a vector: one step

A name is a file's inside the prompts file's folder, or a `data:` URI.
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from harken.data.blobs import Blobs
from harken.data.media import audio, numbers
from harken.data.media.limits import MediaError
from harken.types import Audio, Image, Message, Modality, Numbers, Part, Prompt, Role, Text

DEEPEST = 32
KEYS = ("id", "messages", "references", "facts")
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
TYPES = ("text", "image", "image_url", "audio", "input_audio", "numbers", "input_numbers")
NAMES: dict[Modality, tuple[str, ...]] = {
    "image": ("image", "path", "url"),
    "audio": ("audio", "path", "url"),
    "numbers": ("numbers", "path", "url"),
}
MEDIA_COLUMNS = (
    *("image", "images", "picture", "pictures", "audio", "audios", "sound", "sounds", "video", "videos"),
    *("numbers", "series", "timeseries", "time_series"),
)
# What other formats call the same thing.
OTHER_NAMES = {
    "prompt": "messages",
    "conversation": "messages",
    "conversations": "messages",
    "answer": "references",
    "answers": "references",
    "completion": "references",
    "label": "facts",
    "metadata": "facts",
    "developer": "system",
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
}


class FieldError(ValueError):
    """What is wrong with one field of a record, and how to mend it.

    Attributes:
        field: the path of the field in the record, such as `messages[0].content[1].image`.
        why: the rest.
    """

    def __init__(self, field: str, why: str):
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why


def read_record(record: object, blobs: Blobs, folder: Path) -> Prompt:
    """The prompt of one JSON object; its media go into `blobs`.

    A record without an id gets one from its content, the same wherever it is read.

    Raises:
        FieldError: if a field is wrong, or a medium cannot be taken.
    """
    if not isinstance(record, dict):
        raise FieldError("", f'{_kind(record)} instead of an object; write {{"messages": [...]}}')
    for key in record:
        if key in MEDIA_COLUMNS:
            raise FieldError(
                key,
                "a column of media that no one reads; put each medium where it belongs in the conversation, as a part "
                'of a message: {"role": "user", "content": [{"type": "image", "image": "a.png"}, ...]}',
            )
    _known_keys(record, KEYS, "")
    turns = record.get("messages")
    if not isinstance(turns, list):
        raise FieldError("messages", 'missing or no list; write [{"role": "user", "content": "..."}]')
    messages = tuple(_message(turn, f"messages[{i}]", blobs, folder) for i, turn in enumerate(turns))
    references = record.get("references", [])
    if not isinstance(references, list) or not all(isinstance(text, str) for text in references):
        raise FieldError("references", "not a list of strings")
    facts = record.get("facts", {})
    if not isinstance(facts, dict):
        raise FieldError("facts", f"{_kind(facts)} instead of an object")
    name = record.get("id", "unnamed")
    if not isinstance(name, str):
        raise FieldError("id", f"{_kind(name)} instead of a string; put it in quotes")
    prompt = Prompt(name, messages, tuple(str(text) for text in references), facts)
    check(prompt)
    return prompt if "id" in record else Prompt(content_id(prompt), messages, prompt.references, facts)


def write_record(prompt: Prompt, files: Mapping[str, str]) -> dict[str, object]:
    """The JSON object of a prompt; `read_record` gives the same prompt back.

    Args:
        prompt: a prompt.
        files: for each SHA-256 of its media the name of a file.
    """
    record: dict[str, object] = {"id": prompt.id, "messages": [_turn(m, files) for m in prompt.messages]}
    if prompt.references:
        record["references"] = list(prompt.references)
    if prompt.facts:
        record["facts"] = dict(prompt.facts)
    return record


def content_id(prompt: Prompt) -> str:
    """An id made of what a prompt says and shows; the names of files play no part in it."""
    media = {p.sha256: p.sha256 for m in prompt.messages for p in m.parts if not isinstance(p, Text)}
    record = {**write_record(prompt, media), "id": ""}
    text = json.dumps(record, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return f"p-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def check(prompt: Prompt) -> None:
    """Whether a prompt is one that can be answered, kept and read again.

    Raises:
        FieldError: if turns are out of order or empty, or a text cannot be kept.
    """
    if not prompt.id.strip() or not prompt.id.isprintable() or len(prompt.id) > 200:
        raise FieldError("id", f"{prompt.id[:200]!r} is no name; write 1 to 200 printable letters")
    if not prompt.messages:
        raise FieldError("messages", "empty; a prompt needs a user's turn")
    for i, message in enumerate(prompt.messages):
        _check_message(message, i)
    if prompt.messages[-1].role != "user":
        raise FieldError(
            f"messages[{len(prompt.messages) - 1}].role",
            f"the last turn is the {prompt.messages[-1].role}'s, so nothing waits for an answer; end with the user's "
            "turn, and put a known answer into references",
        )
    for i, text in enumerate(prompt.references):
        if not text.strip():
            raise FieldError(f"references[{i}]", "empty; leave it out")
        _check_text(text, f"references[{i}]")
    _check_facts(dict(prompt.facts), "facts")


def _check_message(message: Message, i: int) -> None:
    at = f"messages[{i}]"
    if message.role == "system" and i:
        raise FieldError(f"{at}.role", "a system turn that is not the first; put it first")
    if message.role == "assistant" and not all(isinstance(part, Text) for part in message.parts):
        raise FieldError(f"{at}.content", "an assistant's turn with media; harken's assistants write text only")
    for j, part in enumerate(message.parts):
        if isinstance(part, Text):
            if not part.text:
                raise FieldError(f"{at}.content[{j}].text", "empty; leave the part out")
            _check_text(part.text, f"{at}.content[{j}].text")
    if all(isinstance(part, Text) and not part.text.strip() for part in message.parts):
        raise FieldError(f"{at}.content", "empty; write what was said, or leave the turn out")


def _check_text(text: str, at: str) -> None:
    if "\0" in text:
        raise FieldError(at, "the text holds a NUL, which databases and C programs cannot keep; take it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FieldError(at, f"half a letter (a lone surrogate, {text[error.start]!r}); take it out") from error


def _check_facts(value: object, at: str, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise FieldError(at, f"nested more than {DEEPEST} levels deep; flatten it")
    match value:
        case str():
            _check_text(value, at)
        case float() if not math.isfinite(value):
            raise FieldError(at, f"{value} is no number that JSON can write; write null or leave it out")
        case list():
            for i, item in enumerate(value):
                _check_facts(item, f"{at}[{i}]", depth + 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise FieldError(at, f"the key {key!r} is no string; JSON keeps only strings as keys")
                _check_text(key, at)
                _check_facts(item, f"{at}.{shown(key)}", depth + 1)
        case None | bool() | int() | float():
            pass
        case _:
            raise FieldError(at, f"a {type(value).__name__}, which JSON would not give back; use lists and objects")


def _message(turn: object, at: str, blobs: Blobs, folder: Path) -> Message:
    fields = _object(turn, at)
    _known_keys(fields, ("role", "content"), at)
    role = fields.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise FieldError(f"{at}.role", f"{_value(role)} is no role{_nearest(role, ROLES)}")
    content = fields.get("content")
    if isinstance(content, str):
        if not content.strip():
            raise FieldError(f"{at}.content", "empty; write what was said, or leave the turn out")
        return Message(ROLES[role], (Text(content),))
    if not isinstance(content, list) or not content:
        raise FieldError(f"{at}.content", "missing or empty; write a string, or a list of parts")
    return Message(ROLES[role], tuple(_part(p, f"{at}.content[{j}]", blobs, folder) for j, p in enumerate(content)))


def _part(part: object, at: str, blobs: Blobs, folder: Path) -> Part:
    fields = _object(part, at)
    match fields.get("type"):
        case "text":
            return Text(_only_string(fields, at, ("text",), ("type",))[1])
        case "image":
            key, name = _only_string(fields, at, NAMES["image"], ("type",))
            return Image(_take(f"{at}.{key}", name, "image", blobs, folder))
        case "audio":
            key, name = _only_string(fields, at, NAMES["audio"], ("type",))
            return Audio(_take(f"{at}.{key}", name, "audio", blobs, folder))
        case "image_url":
            _known_keys(fields, ("type", "image_url"), at)
            inner = f"{at}.image_url"
            name = _only_string(_object(fields.get("image_url"), inner), inner, ("url",))[1]
            return Image(_take(f"{inner}.url", name, "image", blobs, folder))
        case "input_audio":
            _known_keys(fields, ("type", "input_audio"), at)
            return _input_audio(_object(fields.get("input_audio"), f"{at}.input_audio"), at, blobs, folder)
        case "numbers":
            return _numbers(fields, at, blobs, folder)
        case "input_numbers":
            _known_keys(fields, ("type", "input_numbers"), at)
            inner = f"{at}.input_numbers"
            return _values(_object(fields.get("input_numbers"), inner), inner, blobs)
        case other:
            raise FieldError(f"{at}.type", f"{_value(other)} is no kind of part{_nearest(other, TYPES)}")


def _input_audio(fields: dict[str, object], at: str, blobs: Blobs, folder: Path) -> Audio:
    inner = f"{at}.input_audio"
    key, text = _only_string(fields, inner, ("data", "path"), ("format",))
    written = fields.get("format", "wav")
    if written not in audio.SUFFIXES.values():
        raise FieldError(f"{inner}.format", f"{_value(written)} is not a format that harken reads: {audio.KNOWN}")
    if key == "path":
        return Audio(_take(f"{inner}.path", text, "audio", blobs, folder))
    try:
        return Audio(blobs.put_base64(text, "audio"))
    except MediaError as error:
        raise FieldError(f"{inner}.data", str(error)) from error


def _numbers(fields: dict[str, object], at: str, blobs: Blobs, folder: Path) -> Numbers:
    if "values" in fields:
        return _values({key: value for key, value in fields.items() if key != "type"}, at, blobs)
    if not set(NAMES["numbers"]) & set(fields):
        raise FieldError(at, 'no numbers in it; write "numbers": "a.csv", or "values": [[1, 2], [3, 4]]')
    key, name = _only_string(fields, at, NAMES["numbers"], ("type",))
    return Numbers(_take(f"{at}.{key}", name, "numbers", blobs, folder))


def _values(fields: dict[str, object], at: str, blobs: Blobs) -> Numbers:
    _known_keys(fields, ("values", "names"), at)
    try:
        written = numbers.table(fields.get("values"), fields.get("names", []))
        return Numbers(blobs.put(numbers.encode_csv(written.values, written.names), "numbers"))
    except MediaError as error:
        raise FieldError(f"{at}.values", str(error)) from error


def _take(at: str, name: str, modality: Modality, blobs: Blobs, folder: Path) -> str:
    try:
        return blobs.put_reference(name, folder, modality)
    except MediaError as error:
        raise FieldError(at, str(error)) from error


def _turn(message: Message, files: Mapping[str, str]) -> dict[str, object]:
    if len(message.parts) == 1 and isinstance(message.parts[0], Text):
        return {"role": message.role, "content": message.parts[0].text}
    parts: list[dict[str, str]] = []
    for part in message.parts:
        match part:
            case Text(text):
                parts.append({"type": "text", "text": text})
            case Image(sha256):
                parts.append({"type": "image", "image": files[sha256]})
            case Audio(sha256):
                parts.append({"type": "audio", "audio": files[sha256]})
            case Numbers(sha256):
                parts.append({"type": "numbers", "numbers": files[sha256]})
    return {"role": message.role, "content": parts}


def _object(value: object, at: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise FieldError(at, f"{_kind(value)} instead of an object")
    return value


def _only_string(
    fields: dict[str, object], at: str, keys: tuple[str, ...], others: tuple[str, ...] = ()
) -> tuple[str, str]:
    """The one key of `keys` that is there, and its string."""
    _known_keys(fields, (*keys, *others), at)
    found = [key for key in keys if key in fields]
    if len(found) != 1:
        raise FieldError(at, f"has {found or 'none'} of {list(keys)}; write exactly one")
    value = fields[found[0]]
    if not isinstance(value, str):
        raise FieldError(f"{at}.{found[0]}", f"{_kind(value)} instead of a string")
    return found[0], value


def _known_keys(fields: Mapping[str, Any], known: Collection[str], at: str) -> None:
    for key in fields:
        if key not in known:
            raise FieldError(
                f"{at}.{shown(key)}" if at else shown(key), f"a key that no one reads{_nearest(key, known)}"
            )


def _nearest(word: object, known: Collection[str]) -> str:
    written = word.lower()[:80] if isinstance(word, str) else ""
    other = OTHER_NAMES.get(written)
    near = [other] if other in known else get_close_matches(written, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def shown(key: str) -> str:
    """A key of a stranger's object, fit for a message: short and without control letters."""
    return key if key.isprintable() and len(key) <= 80 else repr(key[:80])


def _value(value: object) -> str:
    return repr(value[:80]) if isinstance(value, str) else _kind(value)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
