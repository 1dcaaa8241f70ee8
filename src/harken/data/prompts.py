"""Prompts from a JSON Lines file, one object a line, and back; `harken.data.record` says what an object holds."""

import json
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from harken.data.blobs import Blobs
from harken.data.media.limits import MediaError
from harken.data.record import NAMES, FieldError, check, read_record, write_record
from harken.data.strict_json import parse_line
from harken.types import Prompt, Text, modality_of

LOG = logging.getLogger(__name__)
MARK = b"\xef\xbb\xbf"  # the byte order mark that some editors put first
MEDIA = "media"
MEDIA_KEYS = frozenset(name for names in NAMES.values() for name in names)


class PromptError(ValueError):
    """A prompts file, or a record in it, that cannot be read: what, where, and how to mend it.

    Attributes:
        path: the file.
        line: the line, from 1; None if the whole file is meant.
        record: the record's id, if it could be read.
        field: the path of the field in the record, such as `messages[0].content[1].image`.
        why: what is wrong and how to mend it; names the media file if there is one.
    """

    def __init__(self, path: Path, line: int | None, record: str | None, field: str, why: str):
        where = str(path) if line is None else f"{path}:{line}"
        if record is not None:
            where += f" (record {record[:200]!r})"
        super().__init__(": ".join(piece for piece in (where, field, why) if piece))
        self.path = path
        self.line = line
        self.record = record
        self.field = field
        self.why = why


@dataclass(frozen=True)
class PromptFile:
    """What a file held: the prompts, and the errors of the records that were skipped."""

    prompts: tuple[Prompt, ...]
    skipped: tuple[PromptError, ...] = ()


def load_prompts(
    path: Path | str,
    blobs: Blobs,
    *,
    skip_bad: bool = False,
    on_skip: Callable[[PromptError], None] | None = None,
) -> list[Prompt]:
    """The prompts of a file; their media go into `blobs`.

    Args:
        path: a JSON Lines file in UTF-8; media are named relative to its folder.
        blobs: where the media go.
        skip_bad: leave bad records out instead of raising at the first.
        on_skip: called with the error of each record left out; if not given, they are logged as warnings.

    Raises:
        PromptError: at the first bad record; with `skip_bad` only if the file cannot be read or nothing is left.
    """
    if not skip_bad:
        return list(_read(Path(path), blobs, _stop))
    report = on_skip or _log
    found = read_prompts(path, blobs)
    for error in found.skipped:
        report(error)
    return list(found.prompts)


def read_prompts(path: Path | str, blobs: Blobs) -> PromptFile:
    """The good prompts of a file and the errors of the bad ones; media go into `blobs`.

    Raises:
        PromptError: if the file cannot be read, or no record in it is good.
    """
    skipped: list[PromptError] = []
    prompts = tuple(_read(Path(path), blobs, skipped.append))
    if skipped and not prompts:
        raise PromptError(Path(path), None, None, "", f"all {len(skipped)} records are bad; the first: {skipped[0]}")
    return PromptFile(prompts, tuple(skipped))


def files_of(path: Path) -> list[Path]:
    """A prompts file and the media files that it names, whatever else is wrong with it."""
    found = [path]
    for _, line in _lines(path):
        try:
            found += [path.parent / name for name in _names(json.loads(line))]
        except (ValueError, RecursionError):
            continue
    return [file for file in dict.fromkeys(found) if file.is_file()]


def _names(value: object) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if not isinstance(inner, str):
            yield from _names(inner)
        elif key in MEDIA_KEYS and len(inner) < 1000 and "\0" not in inner:
            yield inner


def save_prompts(prompts: Iterable[Prompt], path: Path | str, blobs: Blobs) -> None:
    """Write prompts as a JSON Lines file, with their media in the folder `media` beside it.

    `load_prompts` gives equal prompts back. The file appears whole or not at all.

    Raises:
        PromptError: if a prompt is one that `load_prompts` would refuse, or its media are not in `blobs`.
    """
    path = Path(path)
    seen: dict[str, int] = {}
    lines = []
    for number, prompt in enumerate(prompts, start=1):
        try:
            check(prompt)
            _refuse_repeat(prompt.id, number, seen)
            record = write_record(prompt, _export(prompt, path.parent, blobs))
            lines.append(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        except FieldError as error:
            raise PromptError(path, number, prompt.id, error.field, error.why) from error
        except MediaError as error:
            raise PromptError(path, number, prompt.id, "messages", str(error)) from error
    if not lines:
        raise PromptError(path, None, None, "", "no prompts to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _read(path: Path, blobs: Blobs, bad: Callable[[PromptError], None]) -> Iterator[Prompt]:
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        record: object = None
        try:
            record = parse_line(line)
            prompt = read_record(record, blobs, path.parent)
            _refuse_repeat(prompt.id, number, seen)
        except FieldError as error:
            name = record.get("id") if isinstance(record, dict) else None
            bad(PromptError(path, number, name if isinstance(name, str) else None, error.field, error.why))
            continue
        yield prompt


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.is_file():
        seen = "not a regular file" if path.exists() else "no such file"
        raise PromptError(path, None, None, "", f"{seen}; name a JSON Lines file (one JSON object a line)")
    empty = True
    try:
        with path.open("rb") as file:
            if file.read(len(MARK)) != MARK:
                file.seek(0)
            for number, line in enumerate(file, start=1):
                if line.strip():
                    empty = False
                    yield number, line
    except OSError as error:
        raise PromptError(path, None, None, "", f"cannot be read: {error.strerror}") from error
    if empty:
        raise PromptError(path, None, None, "", 'empty; write one object a line: {"messages": [...]}')


def _refuse_repeat(name: str, number: int, seen: dict[str, int]) -> None:
    first = seen.setdefault(name, number)
    if first != number:
        raise FieldError("id", f"{name!r} is the id of line {first} too; rename it, or remove the repeated record")


def _export(prompt: Prompt, folder: Path, blobs: Blobs) -> dict[str, str]:
    names = {}
    for part in [part for message in prompt.messages for part in message.parts]:
        if not isinstance(part, Text):
            names[part.sha256] = f"{MEDIA}/{blobs.export(part.sha256, modality_of(part), folder / MEDIA)}"
    return names


def _stop(error: PromptError) -> NoReturn:
    raise error


def _log(error: PromptError) -> None:
    LOG.warning("skipped: %s", error)
