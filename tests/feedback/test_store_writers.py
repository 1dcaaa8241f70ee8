"""Writers that are killed, and writers at the same time."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest
from said import comparison

from harken.feedback.kinds.edit import revision
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Edit

HERE = Path(__file__).parent


def writer(place: Path, go: Path, name: str, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "writer.py"), str(place), str(go), name, str(first), str(count)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    assert child.stderr.readline() == "ready\n"
    return child


def check_whole(place: Path) -> list[Answer]:
    """The answers of a store that is sound: no edit without its revision, no revision without its edit."""
    with sqlite3.connect(place) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with FeedbackStore(place) as store:
        answers = store.answers()
        revisions = {c.id for c in store.completions() if c.policy.startswith("annotator:")}
    said = {revision(a.feedback, a.annotator).id for a in answers if isinstance(a.feedback, Edit)}
    assert revisions == said
    return answers


@pytest.mark.slow
def test_every_acknowledged_answer_outlives_a_kill(tmp_path):
    place, go, chance = tmp_path / "feedback.db", tmp_path / "go", random.Random(0)
    go.touch()
    kept: set[str] = set()
    for round_ in range(6):
        child = writer(place, go, f"ada{round_}-", 0, 1_000_000)
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(chance.uniform(0, 0.25))
        child.kill()
        rest = child.stdout.read()
        assert child.wait() == -signal.SIGKILL
        # A last line without its end was not said to anybody.
        told = {line.split("\t")[0] for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")}
        assert told
        found = {answer.key for answer in check_whole(place)}
        assert kept | told <= found
        assert len(found) <= len(kept | told) + 1, "at most the answer that was just being acknowledged"
        kept = found


@pytest.mark.slow
def test_a_kill_while_a_store_is_made_leaves_one_that_opens(tmp_path):
    chance = random.Random(1)
    for round_ in range(6):
        place, go = tmp_path / f"{round_}.db", tmp_path / f"go{round_}"
        child = writer(place, go, "ada", 0, 1)
        go.touch()
        time.sleep(chance.uniform(0, 0.06))
        child.kill()
        child.wait()
        with FeedbackStore(place) as store:
            assert set(store.counts()) == {"prompts", "completions", "annotators", "answers"}
        check_whole(place)


@pytest.mark.slow
def test_processes_that_race_for_a_new_store_and_the_same_keys_agree(tmp_path):
    place, go = tmp_path / "feedback.db", tmp_path / "go"
    children = [writer(place, go, "-", 0, 60) for _ in range(3)]
    go.touch()
    told = []
    for child in children:
        out, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors
        told.append(out)
    assert told[0] == told[1] == told[2]
    answers = check_whole(place)
    assert [(a.key, a.annotator) for a in answers] == [tuple(line.split("\t")[:2]) for line in told[0].splitlines()]
    assert len(answers) == 60


@pytest.mark.slow
def test_threads_that_open_a_new_store_at_once_all_get_it(tmp_path):
    def counts(place: Path) -> dict[str, int]:
        with FeedbackStore(place) as store:
            return store.counts()

    nothing = {"prompts": 0, "completions": 0, "annotators": 0, "answers": 0}
    with ThreadPool(8) as pool:
        for i in range(5):
            assert pool.map(counts, [tmp_path / f"{i}.db"] * 8, chunksize=1) == [nothing] * 8
        # No lock of one file stands between those who open others.
        assert pool.map(counts, [tmp_path / f"own {i}.db" for i in range(16)], chunksize=1) == [nothing] * 16


@pytest.mark.slow
def test_processes_that_open_new_stores_at_once_all_get_them(tmp_path):
    goes = [tmp_path / f"go{i}" for i in range(3)]
    for i, go in enumerate(goes):
        children = [writer(tmp_path / f"{i}.db", go, f"p{n}-", 0, 1) for n in range(4)]
        go.touch()
        for child in children:
            _, errors = child.communicate(timeout=120)
            assert child.returncode == 0, errors
        assert len(check_whole(tmp_path / f"{i}.db")) == 4


def test_threads_that_race_for_a_key_get_the_same_answer(store):
    choices = ["a", "b", "tie", "both_bad"]
    with ThreadPool(8) as pool:
        for i in range(10):
            jobs = [comparison(f"k{i}", choices[n % 4], f"annotator {n}") for n in range(8)]
            held = pool.map(store.add, jobs)
            assert held[0] in jobs
            assert held == [held[0]] * 8
    assert [answer.key for answer in store.answers()] == [f"k{i}" for i in range(10)]


def test_threads_with_keys_of_their_own_lose_nothing(store):
    with ThreadPool(8) as pool:
        pool.map(store.add, [Answer(f"k{n}", "ada", "human", Edit("p", "p0", f"edit {n % 20}")) for n in range(80)])
    assert {answer.key for answer in store.answers()} == {f"k{n}" for n in range(80)}
    assert store.counts() == {"prompts": 2, "completions": 8 + 20, "annotators": 1, "answers": 80}


def test_a_reader_sees_whole_answers_while_another_writes(store, tmp_path):
    with FeedbackStore(store.url.database) as reader, ThreadPool(1) as pool:
        job = pool.map_async(
            store.add, [Answer(f"k{n}", "ada", "human", Edit("p", "p0", f"edit {n}")) for n in range(60)]
        )
        seen = 0
        while not job.ready():
            answers, completions = reader.answers(), {c.id for c in reader.completions()}
            assert {revision(a.feedback, "ada").id for a in answers} <= completions
            assert len(answers) >= seen
            seen = len(answers)
        job.get()
        assert len(reader.answers()) == 60
