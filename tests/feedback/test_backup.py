"""A copy of a live store is one moment of it, whole."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from said import COMPLETIONS, PROMPTS, comparison
from sqlalchemy import create_engine, text

from harken.data.blobs import Blobs
from harken.data.media.limits import MediaError
from harken.feedback.backup import backup
from harken.feedback.database import StoreError
from harken.feedback.store import FeedbackStore
from harken.types import Image, Message, Prompt

WRITER = Path(__file__).parent / "writer.py"


@pytest.mark.slow
def test_copies_made_while_others_write_are_whole(tmp_path: Path):
    live = tmp_path / "live" / "feedback.db"
    writers = [
        subprocess.Popen(
            [sys.executable, str(WRITER), str(live), str(tmp_path / "go"), name, "0", "400"], stdout=subprocess.DEVNULL
        )
        for name in ("ada", "bob")
    ]
    (tmp_path / "go").touch()
    counts = []
    try:
        while any(writer.poll() is None for writer in writers):
            if live.is_file() and live.stat().st_size:
                copy = tmp_path / f"copy{len(counts)}.db"
                try:
                    backup(live, copy)
                except StoreError:
                    # The writers have made the file and not yet its tables.
                    assert not counts
                    copy.unlink(missing_ok=True)
                else:
                    counts.append(_whole(copy))
            time.sleep(0.05)
    finally:
        for writer in writers:
            writer.wait(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert counts == sorted(counts) and len(set(counts)) > 2, "copies were made while answers came"
    backup(live, tmp_path / "last.db")
    with FeedbackStore(tmp_path / "last.db") as copied, FeedbackStore(live) as store:
        assert copied.answers(amended=True) == store.answers(amended=True) and len(store.keys()) == 800


def _whole(copy: Path) -> int:
    """Every writer's answers are there from its first to its last, with the revisions that they made."""
    with FeedbackStore(copy) as store:
        keys, completions = store.keys(), {one.text for one in store.completions()}
        for name in ("ada", "bob"):
            count = sum(1 for key in keys if key.startswith(name))
            assert {f"{name}{i}" for i in range(count)} <= keys
            assert {f"{name} {i}" for i in range(0, count, 3)} <= completions
        return len(keys)


def test_media_come_along_where_asked(tmp_path: Path, store: FeedbackStore):
    blobs = Blobs(tmp_path / "blobs")
    with (Path(__file__).parents[2] / "docs" / "report.png").open("rb") as file:
        sha256 = blobs.put(file.read(), "image")
    store.add_prompts([Prompt("seen", (Message("user", (Image(sha256),)),))])
    assert backup(tmp_path / "feedback.db", tmp_path / "a" / "copy.db").media == 0
    assert not (tmp_path / "a" / "blobs").exists()
    assert backup(tmp_path / "feedback.db", tmp_path / "b" / "copy.db", blobs).media == 1
    assert Blobs(tmp_path / "b" / "blobs").read(sha256) == blobs.read(sha256)
    blobs.path(sha256).unlink()
    with pytest.raises(MediaError, match="no medium"):
        backup(tmp_path / "feedback.db", tmp_path / "c" / "copy.db", blobs)


def test_nothing_is_overwritten_and_nothing_half_made_is_left(tmp_path: Path, store: FeedbackStore):
    store.add(comparison("k"))
    copy = tmp_path / "copy.db"
    backup(tmp_path / "feedback.db", copy)
    with pytest.raises(StoreError, match="overwrites nothing"):
        backup(tmp_path / "feedback.db", copy)
    with pytest.raises(StoreError, match="no store"):
        backup(tmp_path / "nothing.db", tmp_path / "other.db")
    with pytest.raises(StoreError, match="pg_dump"):
        backup("postgresql://ada@host/base", tmp_path / "other.db")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with FeedbackStore(copy) as copied:
        assert copied.prompts() == PROMPTS and copied.completions() == COMPLETIONS
        assert [answer.key for answer in copied.answers()] == ["k"]
    with create_engine(f"sqlite:///{copy}").connect() as connection, pytest.raises(Exception, match="append-only"):
        connection.execute(text("DELETE FROM answers"))
