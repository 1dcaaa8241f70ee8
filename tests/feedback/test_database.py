import sqlite3
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from postgres import server
from sqlalchemy import text

from harken.feedback.database import StoreError, database_url, open_database
from harken.feedback.schema import metadata
from harken.feedback.store import FeedbackStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "feedback.db"
    FeedbackStore(found).close()
    return found


def test_every_connection_has_the_settings(path):
    engine = open_database(database_url(path))
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}
    with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in wanted}
            assert found == wanted
            assert connection.scalar(text("PRAGMA busy_timeout")) >= 10_000
    engine.dispose()


def test_the_migrations_make_the_tables_that_the_code_uses(path):
    engine = open_database(database_url(path))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


@pytest.mark.slow
def test_the_migrations_make_the_same_tables_on_postgresql():
    with server() as url:
        engine = open_database(database_url(url))
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        engine.dispose()


def test_opening_again_is_fast_and_waits_for_no_writer(path):
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    FeedbackStore(path).close()
    assert time.monotonic() - started < 2
    writer.execute("ROLLBACK")
    writer.close()


def test_a_newer_database_is_refused(path):
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"written by a newer harken \(schema 9999\); upgrade harken"):
        FeedbackStore(path)


def test_what_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear reader, this is no database.\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"letter\.txt cannot be opened as a feedback store: file is not a database"):
        FeedbackStore(path)
    assert path.read_bytes() == before
    with pytest.raises(StoreError, match="cannot be opened as a feedback store"):
        FeedbackStore(tmp_path)


@pytest.mark.parametrize("name", ["what?.db", "a#b.db", "100%25.db", "two words.db", "字.db", "deep/er/still.db"])
def test_any_path_is_a_path(tmp_path, name):
    FeedbackStore(tmp_path / name).close()
    assert (tmp_path / name).is_file()


def test_a_url_is_a_url(tmp_path):
    FeedbackStore(f"sqlite:///{tmp_path / 'x.db'}").close()
    assert (tmp_path / "x.db").is_file()
    assert database_url("postgresql://ada@host/base").get_backend_name() == "postgresql"


@pytest.mark.parametrize("url", ["nonsense://ada:secret@host/base", "postgresql+nonsense://ada:secret@host/base"])
def test_an_unknown_database_is_refused_without_telling_the_password(url):
    with pytest.raises(StoreError, match="needs a database driver that is not installed") as caught:
        FeedbackStore(url)
    assert "secret" not in str(caught.value)


def test_a_url_that_is_none_is_refused_without_telling_the_password():
    with pytest.raises(StoreError, match="URL cannot be read") as caught:
        FeedbackStore("://ada:secret@host")
    assert "secret" not in str(caught.value)
