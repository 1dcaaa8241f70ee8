"""Who somebody was goes out of a store; what all said stays; the triggers refuse all else before and after."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres import server
from said import COMPLETIONS, PROMPTS, statements
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, delete, insert, text, update
from sqlalchemy.exc import DatabaseError

from harken.feedback.database import StoreError
from harken.feedback.forget import Further
from harken.feedback.kinds.edit import revision
from harken.feedback.records import feedback_to_json
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Edit, Ranking, Rating

NAME = "Ada-Lovelace-1815"
REVISED = Edit("p", "p0", "It is better so.")
BETTER = revision(REVISED, NAME)


def filled(place: str | Path) -> FeedbackStore:
    store = FeedbackStore(place)
    store.add_prompts(PROMPTS)
    store.add_completions(COMPLETIONS)
    store.add(Answer(f"{NAME} 1", NAME, "human", REVISED, 2.5))
    store.add(Answer(f"{NAME} 2", NAME, "human", Rating("p", "p1", 3), amends=None))
    store.add(Answer(f"{NAME} 3", NAME, "human", Rating("p", "p1", 4), amends=f"{NAME} 2"))
    store.add(Answer("bob 1", "bob", "human", Comparison("p", BETTER.id, "p1", "a")))
    store.add(Answer("bob 2", "bob", "human", Ranking("p", (("p0",), (BETTER.id, "p1")), ("p2",))))
    return store


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FeedbackStore]:
    place: str | Path = tmp_path / "feedback.db"
    if request.param == "postgresql":
        place = request.getfixturevalue("postgresql")
        with create_engine(str(place)).begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    with filled(place) as opened:
        yield opened


def test_the_name_is_gone_and_the_words_stay(store: FeedbackStore):
    before = store.answers(amended=True)
    done = store.forget(NAME)
    after = store.answers(amended=True)
    better = revision(REVISED, done.pseudonym)
    assert [a.annotator for a in after] == [done.pseudonym] * 3 + ["bob"] * 2
    assert after[0].feedback == before[0].feedback and after[0].seconds == 2.5
    assert after[2].amends == after[1].key and store.answers() == [after[0], *after[2:]]
    assert after[3].feedback == Comparison("p", better.id, "p1", "a")
    assert after[4].feedback == Ranking("p", (("p0",), (better.id, "p1")), ("p2",))
    assert {one.id: one for one in store.completions()}[better.id] == better
    said = repr((after, store.completions(), store.prompts()))
    assert NAME not in said and BETTER.id not in said
    assert {table: rows for table, rows in done.rows.items() if rows} == {
        "annotators": 1,
        "answers": 5,
        "completions": 1,
    }
    assert done.cleaned


def test_the_triggers_refuse_all_else_afterwards(store: FeedbackStore):
    store.forget(NAME)
    for statement in ("UPDATE answers SET seconds = 1", "DELETE FROM annotators", "UPDATE completions SET text = ''"):
        with create_engine(store.url).connect() as connection, pytest.raises(DatabaseError, match="append-only"):
            connection.execute(text(statement))


def test_a_stranger_is_an_error_and_changes_nothing(store: FeedbackStore):
    before = store.answers(amended=True)
    with pytest.raises(StoreError, match="no annotator 'ada'"):
        store.forget("ada")
    assert store.answers(amended=True) == before


def test_tables_of_other_rooms_are_part_of_it(store: FeedbackStore):
    comments = Table("comments", MetaData(), Column("id", Integer, primary_key=True), Column("who", String(99)))
    engine = create_engine(store.url)
    comments.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(comments).values(who=NAME))
    gone = Further("comments", lambda c, name, _: c.execute(delete(comments).where(comments.c.who == name)).rowcount)
    assert store.forget(NAME, [gone]).rows["comments"] == 1


def test_where_one_table_fails_nothing_is_changed(store: FeedbackStore):
    def fail(*given: object) -> int:
        raise RuntimeError("no")

    before = store.answers(amended=True)
    with pytest.raises(RuntimeError):
        store.forget(NAME, [Further("answers", fail)])
    assert store.answers(amended=True) == before
    with create_engine(store.url).connect() as connection, pytest.raises(DatabaseError, match="append-only"):
        connection.execute(text("DELETE FROM answers"))


def test_no_byte_of_the_name_is_left_in_the_files(tmp_path: Path):
    with filled(tmp_path / "feedback.db") as store:
        every = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert NAME.encode() in every and BETTER.id.encode() in every
        key = store.answers()[0].key.encode()
        assert store.forget(NAME).cleaned
        assert [path.name for path in tmp_path.iterdir()]
        for path in tmp_path.iterdir():
            data = path.read_bytes()
            assert NAME.encode() not in data and BETTER.id.encode() not in data and key not in data, path


def test_a_reader_that_stays_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("harken.feedback.database.SETTINGS", ("busy_timeout=200", "foreign_keys=ON"))
    with filled(tmp_path / "feedback.db") as store:
        reader = sqlite3.connect(tmp_path / "feedback.db")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM answers").fetchone()
        assert not store.forget(NAME).cleaned
        reader.close()


@given(said=st.lists(statements, min_size=1, max_size=6), whose=st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=15)
@pytest.mark.slow
def test_what_was_said_is_the_same_but_for_the_name(
    said: list, whose: list[bool], tmp_path_factory: pytest.TempPathFactory
):
    with FeedbackStore(tmp_path_factory.mktemp("store") / "feedback.db") as store:
        store.add_prompts(PROMPTS)
        store.add_completions(COMPLETIONS)
        for number, (statement, mine) in enumerate(zip(said, [True, *whose], strict=False)):
            store.add(Answer(f"k{number}", NAME if mine else "bob", "human", statement))
        before = store.answers(amended=True)
        done = store.forget(NAME)
        after = store.answers(amended=True)
        for one, other in zip(before, after, strict=True):
            if one.annotator == "bob":
                assert one == other
            else:
                assert other == replace(one, key=other.key, annotator=done.pseudonym) and other.key != one.key
                assert feedback_to_json(one.feedback) == feedback_to_json(other.feedback)


def test_no_update_gets_through_on_the_same_connection_either(tmp_path: Path):
    with filled(tmp_path / "feedback.db") as store:
        store.forget(NAME)
        table = Table("answers", MetaData(), Column("seq", Integer), Column("key", String))
        with store._writer.begin() as connection, pytest.raises(DatabaseError, match="append-only"):
            connection.execute(update(table).values(key="x"))
