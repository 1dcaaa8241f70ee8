"""A copy of a live store: one moment of it, whole, while others go on writing."""

import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from harken.data.blobs import Blobs
from harken.feedback.database import StoreError, database_url
from harken.feedback.store import FeedbackStore
from harken.types import Text, modality_of

WAIT = 30.0


@dataclass(frozen=True)
class Copied:
    """What a copy holds.

    Attributes:
        rows: table -> how many rows.
        media: how many media were copied.
    """

    rows: dict[str, int]
    media: int


def backup(place: str | Path, out: Path, blobs: Blobs | None = None) -> Copied:
    """Copy a store into one SQLite file, and its media into `blobs` beside that file.

    Media are copied after the rows that name them: they were there before these rows, and never go.

    Args:
        place: a path of an SQLite file.
        out: the file, which must not be there yet.
        blobs: the media, if they are to be copied too.

    Raises:
        StoreError: if the place is no SQLite file, the copy is there already, or is not whole.
        MediaError: if a medium is not there, or was altered.
    """
    url = database_url(place)
    if url.get_backend_name() != "sqlite":
        raise StoreError("this copies SQLite files; a PostgreSQL database is copied by pg_dump, while it runs too")
    source = Path(url.database or "")
    if not source.is_file():
        raise StoreError(f"there is no store {source}; name a run's folder or a feedback.db")
    if out.exists():
        raise StoreError(f"{out} is there already, and a backup overwrites nothing; name another file")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        _copy(source, draft)
        draft.rename(out)
    finally:
        draft.unlink(missing_ok=True)
    with FeedbackStore(out) as store:
        media = 0 if blobs is None else _copy_media(store, blobs, out.parent / "blobs")
        return Copied(store.counts(), media)


def _copy(source: Path, draft: Path) -> None:
    with closing(sqlite3.connect(source, timeout=WAIT)) as live, closing(sqlite3.connect(draft)) as copy:
        # All pages in one step: a copy in several begins anew with every write, and might never end.
        live.backup(copy)
        (found,) = copy.execute("PRAGMA integrity_check").fetchone()
        if found != "ok":
            raise StoreError(f"{source} is damaged ({found}); go back to an earlier backup")
        # One file, without a log beside it.
        copy.execute("PRAGMA journal_mode=DELETE")


def _copy_media(store: FeedbackStore, blobs: Blobs, folder: Path) -> int:
    target = Blobs(folder, blobs.limits, flush=False)
    copied = set()
    for item in store.stream():
        for part in (part for message in item.prompt.messages for part in message.parts):
            if not isinstance(part, Text) and part.sha256 not in copied:
                target.put(blobs.read(part.sha256), modality_of(part))
                copied.add(part.sha256)
    target.settle()
    return len(copied)
