"""Opens the store's database: settings, and the schema brought up to date."""

import sqlite3
import threading
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 30_000
CONNECT_S = 5
"""Seconds until a PostgreSQL server that does not answer counts as away."""
SETTINGS = (
    f"busy_timeout={BUSY_MS}",
    "synchronous=FULL",
    "foreign_keys=ON",
    # Without it, INSERT OR REPLACE deletes a row and no trigger hears of it.
    "recursive_triggers=ON",
)
MIGRATING = threading.Lock()
"""Alembic keeps what it works on in one place for the whole process."""
MIGRATING_HERE = 0x6861726B656E
"""The same for PostgreSQL's processes: a number that they agree to lock."""


class StoreError(ValueError):
    """The store cannot take, or cannot read, what it was given."""


def database_url(place: str | Path) -> URL:
    """A database URL as it is; a path, whatever is in its name, as that of an SQLite file.

    Raises:
        StoreError: if it looks like a URL and is none.
    """
    if "://" not in str(place):
        return URL.create("sqlite", database=str(place))
    try:
        return make_url(str(place))
    except ArgumentError as error:
        # The text is not shown: there may be a password in it.
        raise StoreError("the feedback store's URL cannot be read; write it as postgresql://NAME@HOST/BASE") from error


def open_database(url: URL) -> Engine:
    """An engine on a database whose schema is the newest.

    A connection with the execution option `writes=True` takes SQLite's write lock when its transaction begins.

    Raises:
        StoreError: if it cannot be opened, is no database, or was written by a newer harken.
    """
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = connect(url)
    try:
        _migrate(engine, url)
    except DatabaseError as error:
        engine.dispose()
        raise StoreError(f"{url} cannot be opened as a feedback store: {error.orig}") from error
    except StoreError:
        engine.dispose()
        raise
    return engine


def connect(url: URL, **pool: int) -> Engine:
    """An engine on a database, whatever its schema.

    Args:
        url: where.
        pool: how many connections, as SQLAlchemy names it.

    Raises:
        StoreError: if there is no driver for it.
    """
    # A server that restarted has closed what the pool holds, and one that went away must not be waited for long.
    remote = {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_S}}
    try:
        engine = create_engine(url, **(remote if url.get_backend_name() == "postgresql" else {}), **pool)
    except (ImportError, ArgumentError) as error:
        raise StoreError(f"{url} needs a database driver that is not installed: {error}") from error
    if engine.dialect.name == "sqlite":
        _set_up_sqlite(engine)
    return engine


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _settings(connection: sqlite3.Connection, record: object) -> None:
        # Python's driver begins transactions on its own terms; here the store does.
        connection.isolation_level = None
        for setting in SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        _write_ahead(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes the write lock at once: a reader that turned writer in the middle could only fail.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging; where several do so at once, SQLite fails without any waiting."""
    until = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _migrate(engine: Engine, url: URL) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        at = MigrationContext.configure(connection).get_current_revision()
    if at == script.get_current_head():
        return
    if at is not None and at not in {one.revision for one in script.walk_revisions()}:
        raise StoreError(f"{url} was written by a newer harken (schema {at}); upgrade harken to open it")
    with MIGRATING, engine.execution_options(writes=True).begin() as connection:
        # Several may open a new store at once: the first to hold the lock makes it, the others find it made.
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATING_HERE)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
