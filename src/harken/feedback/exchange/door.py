"""Files of feedback in formats that other programs know: out of a store, and into one."""

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from harken.data.blobs import Blobs
from harken.data.whole import whole
from harken.feedback.exchange import formats
from harken.feedback.exchange.names import NAMES
from harken.feedback.exchange.parcel import Parcel, Tally
from harken.feedback.exchange.tables import DataError
from harken.feedback.records import kind_of
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Completion, Prompt

STORE, BLOBS = "feedback.db", "blobs"
CHUNK = 1 << 16
DATABASES = (".db", ".sqlite", ".sqlite3")
FORMATS: dict[str, ModuleType] = {name: import_module(f"{formats.__name__}.{name}") for name in NAMES}


@dataclass(frozen=True)
class Place:
    """Where feedback lies.

    Attributes:
        store: a path of an SQLite file, or a database URL.
        blobs: the folder of its media.
    """

    store: str
    blobs: Path


@dataclass(frozen=True)
class Imported:
    """What came in.

    Attributes:
        prompts: in the file.
        completions: in the file.
        answers: in the file, by kind.
        skipped: what was left out, and why.
        differing: keys under which the store holds another answer, which stays.
        new: how many prompts, completions and answers the store did not have.
    """

    prompts: int
    completions: int
    answers: Counter[str]
    skipped: tuple[str, ...]
    differing: tuple[str, ...]
    new: tuple[int, int, int]


def find_place(given: str, blobs: Path | None = None) -> Place:
    """Where the feedback of a run's folder, of an SQLite file or of a database lies.

    Args:
        given: the folder, the file, or the database's URL.
        blobs: the folder of media; `blobs` beside the file, if not said.

    Raises:
        DataError: for a URL without blobs.
    """
    if "://" in given:
        if blobs is None:
            raise DataError("a database does not say where its media lie; add --blobs FOLDER")
        return Place(given, blobs)
    path = Path(given)
    # What is not there yet is a folder, dots in its name or not, unless it is named as databases are.
    is_file = path.is_file() or (path.suffix in DATABASES and not path.is_dir())
    file = path if is_file else path / STORE
    return Place(str(file), blobs or file.parent / BLOBS)


def there(place: Place) -> Place:
    """A place that must be there already.

    Raises:
        DataError: if it is not.
    """
    if "://" not in place.store and not Path(place.store).is_file():
        raise DataError(f"there is no store {place.store}; name a run's folder, a feedback.db or a database's URL")
    return place


def find_format(name: str) -> ModuleType:
    """The module of a format.

    Raises:
        DataError: if there is none.
    """
    if name not in FORMATS:
        raise DataError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def export_file(name: str, place: Place, out: Path) -> tuple[Path, Tally]:
    """Write a store's feedback into a file, which is whole or not there.

    Args:
        name: the format.
        place: the feedback.
        out: the file, or a folder, which gets `feedback.SUFFIX`.

    Returns:
        the file, and what is in it.

    Raises:
        DataError: if the format does not know the file's suffix, or cannot hold what it must.
        MediaError: if a medium is not there.
    """
    format_ = find_format(name)
    if out.is_dir() or not out.suffix:
        out = out / f"feedback{format_.SUFFIXES[0]}"
    if out.suffix not in format_.SUFFIXES:
        raise DataError(f"{out}: files of the format {name} end with {' or '.join(format_.SUFFIXES)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as file:
        tally = export_stream(name, place, file, out.suffix)
    return out, tally


def export_stream(name: str, place: Place, out: BinaryIO, suffix: str = "") -> Tally:
    """Write a store's feedback as it is read; a few prompts are held at once.

    Raises:
        DataError: as `export_file`.
        MediaError: if a medium is not there.
    """
    format_ = find_format(name)
    with FeedbackStore(there(place).store) as store:
        tally: Tally = format_.write(store, Blobs(place.blobs), out, suffix or format_.SUFFIXES[0])
    return tally


def export_chunks(name: str, place: Place) -> Iterator[bytes]:
    """The same in pieces, as an HTTP response wants it; a reader that stops reading ends the export.

    Raises:
        DataError: as `export_file`.
        MediaError: if a medium is not there; some pieces may have gone out before.
    """
    source, target = os.pipe()
    failed: list[BaseException] = []

    def fill() -> None:
        try:
            with os.fdopen(target, "wb") as out:
                export_stream(name, place, out)
        except BrokenPipeError:
            # Nobody reads any more.
            return
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=fill, name=f"export {name}")
    writer.start()
    try:
        with os.fdopen(source, "rb") as pipe:
            while chunk := pipe.read1(CHUNK):
                yield chunk
    finally:
        writer.join()
    if failed:
        raise failed[0]


def import_file(name: str, file: Path, place: Place, levels: int = 5) -> Imported:
    """Bring a file's feedback into a store; all of it, or nothing. Doing so again adds nothing.

    Args:
        name: the format.
        file: the file.
        place: receives it.
        levels: of the scales of ratings, where the format does not tell.

    Raises:
        DataError: what in the file is wrong, and where. Nothing is stored then, but media in the blobs.
        StoreError: if the store holds something else under an id.
    """
    format_ = find_format(name)
    if not file.is_file():
        raise DataError(f"there is no file {file}")
    # One flush of all media in the end, and before the store says that they are there.
    blobs = Blobs(place.blobs, flush=False)
    prompts: dict[str, Prompt] = {}
    completions: dict[str, Completion] = {}
    answers: dict[str, Answer] = {}
    skipped: list[str] = []
    for parcel in _parcels(format_, file, blobs, levels):
        _merge(prompts, {one.id: one for one in parcel.prompts}, file)
        _merge(completions, parcel.by_id, file)
        _merge(answers, {one.key: one for one in parcel.answers}, file)
        skipped += parcel.skipped
    if not prompts:
        raise DataError(f"{file} holds no records")
    blobs.settle()
    with FeedbackStore(place.store) as store:
        before = store.counts()
        store.add_prompts(prompts.values())
        store.add_completions(completions.values())
        ordered = list(_amended_first(answers))
        kept = store.add_answers(ordered)
        after = store.counts()
    differing = tuple(mine.key for mine, held in zip(ordered, kept, strict=True) if mine != held)
    return Imported(
        len(prompts),
        len(completions),
        Counter(kind_of(answer.feedback) for answer in answers.values()),
        tuple(skipped),
        differing,
        (
            after["prompts"] - before["prompts"],
            after["completions"] - before["completions"],
            after["answers"] - before["answers"],
        ),
    )


def _parcels(format_: ModuleType, file: Path, blobs: Blobs, levels: int) -> Iterator[Parcel]:
    try:
        yield from format_.read(file, blobs, levels)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error


def _merge(known: dict[str, Any], new: dict[str, Any], file: Path) -> None:
    for name, value in new.items():
        if known.setdefault(name, value) != value:
            raise DataError(f"{file} holds two different {type(value).__name__.lower()}s named {name!r}; correct one")


def _amended_first(answers: dict[str, Answer]) -> Iterable[Answer]:
    """The answers in their order, but each after the one that it amends."""
    done: dict[str, Answer] = {}
    for answer in answers.values():
        chain = [answer]
        while (amends := chain[-1].amends) in answers and amends not in done and len(chain) <= len(answers):
            chain.append(answers[str(amends)])
        for one in reversed(chain):
            done.setdefault(one.key, one)
    return done.values()
