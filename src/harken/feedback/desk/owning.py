"""One process owns a store's desk: who else comes is refused, and a process that dies lets go at once.

SQLite: the kernel's lock on a file beside the database, which goes with the process whatever ends it. PostgreSQL: an
advisory lock of the session through which the desk is written, so that lock and writing can only be lost together. A
session that was lost is begun again; where another studio had the desk in between, this one, whose memory is then old,
writes no more.
"""

import fcntl
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from harken.feedback.database import StoreError, connect
from harken.feedback.schema import install

DESK = 0x6465736B
"""PostgreSQL's processes agree to lock this number; it counts within one database."""
SUFFIX = ".desk"


class DeskTakenError(StoreError):
    """Another process owns this store's desk."""


class DeskLostError(RuntimeError):
    """The desk was this process's, and cannot be written now: it is another's, or its server still thinks so."""


@dataclass
class Owned:
    """The right to a desk; close it when done.

    Attributes:
        engine: through which the desk is written.
    """

    engine: Engine
    _close: Callable[[], None] | None

    def close(self) -> None:
        """Let go; doing it twice does it once."""
        close, self._close = self._close, None
        if close is not None:
            close()


def own_desk(engine: Engine) -> Owned:
    """Take a store's desk.

    Args:
        engine: of the store's database.

    Raises:
        DeskTakenError: if another process has it.
    """
    if engine.dialect.name == "sqlite":
        return Owned(engine, _lock_beside(engine.url.database))
    return _own_session(engine)


def _lock_beside(database: str | None) -> Callable[[], None]:
    if not database or database == ":memory:":
        return lambda: None
    path = Path(f"{Path(database).resolve()}{SUFFIX}")
    # The file stays: who removed it could remove another's.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as held:
        who = os.read(descriptor, 20).decode(errors="replace").strip()
        os.close(descriptor)
        raise DeskTakenError(
            f"{database} is in the hands of another studio (process {who or 'unknown'}); stop that one first"
        ) from held
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return lambda: os.close(descriptor)


def _own_session(engine: Engine) -> Owned:
    mine = secrets.token_hex(16)
    owned = connect(engine.url, pool_size=1, max_overflow=0)
    begun = False

    @event.listens_for(owned, "connect")
    def _claim(session: Any, record: object) -> None:
        nonlocal begun
        with session.cursor() as cursor:
            try:
                _lock(cursor, mine, begun)
            except Exception:
                session.close()
                raise
        session.commit()
        begun = True

    try:
        owned.connect().close()
    except BaseException:
        owned.dispose()
        raise
    return Owned(owned, owned.dispose)


def _lock(cursor: Any, mine: str, begun: bool) -> None:
    (free,) = cursor.execute("SELECT pg_try_advisory_lock(%s)", (DESK,)).fetchone()
    if not begun:
        if not free:
            raise DeskTakenError("this database is in the hands of another studio; stop that one first")
        table = f'"{install.name}"'
        cursor.execute(
            f"INSERT INTO {table} (name, value) VALUES ('desk', %s) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (mine,),
        )
        return
    if not free:
        raise DeskLostError("the database still holds the desk for a connection that was lost, or for another studio")
    (last,) = cursor.execute(f"SELECT value FROM \"{install.name}\" WHERE name = 'desk'").fetchone()
    if last != mine:
        raise DeskLostError("another studio had this desk meanwhile; start this one anew")
