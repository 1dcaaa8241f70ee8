"""One studio owns a store: whose turn it is lies in its memory, and two memories would disagree."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select

from harken.feedback.database import StoreError

HERE = 0x68_61_72_6B_65_6E
"""PostgreSQL's advisory lock of a studio at work: a number that nobody else takes by chance."""
REFUSED = "another studio serves this store; stop it first, or use the one that runs"


@contextmanager
def sole(engine: Engine) -> Iterator[None]:
    """Own a store as long as this lasts; a process that dies lets go of it.

    Raises:
        StoreError: if another studio owns it.
    """
    owned = _of_file(Path(str(engine.url.database))) if engine.dialect.name == "sqlite" else _of_server(engine)
    with owned:
        yield


@contextmanager
def _of_file(database: Path) -> Iterator[None]:
    with database.with_name(f"{database.name}.studio").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise StoreError(f"{database}: {REFUSED}") from taken
        yield


@contextmanager
def _of_server(engine: Engine) -> Iterator[None]:
    # The lock lives as long as its connection; outside of a transaction, which would stand open for days.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(HERE))):
            raise StoreError(f"{engine.url!r}: {REFUSED}")
        yield
