import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from said import BY_ID, COMPLETIONS, PROMPTS, comparison, names, prompts, statements, texts
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from harken.feedback.database import StoreError
from harken.feedback.kinds.edit import revision
from harken.feedback.schema import metadata
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Completion, Edit, Message, Prompt, Rating, Text

TABLES = ("prompts", "completions", "annotators", "answers")


def raw(store: FeedbackStore) -> sqlite3.Connection:
    return sqlite3.connect(str(store.url.database))


def test_prompts_and_completions_come_back_in_order(store):
    assert store.prompts() == PROMPTS
    assert store.completions() == COMPLETIONS
    assert store.completions("q") == COMPLETIONS[4:]
    assert store.completions("nobody") == []


def test_adding_the_same_again_changes_nothing(store):
    store.add_prompts(PROMPTS)
    store.add_completions([*COMPLETIONS, *COMPLETIONS])
    assert store.counts() == {"prompts": 2, "completions": 8, "annotators": 0, "answers": 0}


def test_an_id_is_for_ever(store):
    other = Prompt("p", (Message("user", (Text("Something else?"),)),))
    with pytest.raises(StoreError, match="prompts: the id 'p' is taken by another one"):
        store.add_prompts([Prompt("new", PROMPTS[0].messages), other])
    for change in ({"text": "Other."}, {"prompt_id": "q"}, {"policy": "other"}, {"finished": False}):
        with pytest.raises(StoreError, match="completions: the id 'p0' is taken by another one"):
            store.add_completions([Completion("new", "p", "x", "model"), replace(COMPLETIONS[0], **change)])
    twins = [Completion("new", "p", "x", "model"), Completion("new", "p", "y", "model")]
    with pytest.raises(StoreError, match="'new' is taken"):
        store.add_completions(twins)
    assert store.prompts() == PROMPTS
    assert store.completions() == COMPLETIONS


def test_a_completion_needs_its_prompt(store):
    with pytest.raises(StoreError, match="completion 'x': add its prompt 'r' to the store first"):
        store.add_completions([Completion("x", "r", "text", "model")])


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=prompts, words=texts, policy=texts, finished=st.booleans())
def test_any_prompt_and_completion_are_kept_as_they_are(tmp_path_factory, prompt, words, policy, finished):
    completion = Completion("c", prompt.id, words, policy, finished)
    with FeedbackStore(tmp_path_factory.mktemp("any") / "x.db") as store:
        for _ in range(2):
            store.add_prompts([prompt])
            store.add_completions([completion])
        assert store.prompts() == [prompt]
        assert store.completions() == [completion]


seconds = st.none() | st.floats(0, 1e9)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=statements, key=names, annotator=names, kind=st.sampled_from(["human", "simulated", "model"]), took=seconds)
def test_any_answer_is_kept_as_it_is(store, said, key, annotator, kind, took):
    # One store for all examples: what they add to it stays, so keys and names are made their own.
    number = store.counts()["answers"]
    answer = Answer(f"{number} {key}", f"{number} {annotator}", kind, said, took)
    assert store.add(answer) == answer
    assert store.answers()[-1] == answer
    assert store.has(answer.key)
    assert {answer.key} <= store.keys()


def test_the_first_answer_of_a_key_stays(store):
    first = store.add(comparison("k", "a"))
    assert store.add(comparison("k", "b")) == first
    assert store.add(Answer("k", "bob", "simulated", Rating("q", "q0", 2))) == first
    assert store.answers() == [first]
    assert store.counts()["annotators"] == 1


def test_answers_come_in_order_and_by_kind_and_annotator(store):
    one, two = comparison("1"), comparison("2", annotator="bob")
    three = Answer("3", "ada", "human", Rating("p", "p0", 4))
    for answer in (one, two, three):
        store.add(answer)
    assert store.answers() == [one, two, three]
    assert store.answers(kind="comparison") == [one, two]
    assert store.answers(annotator="ada") == [one, three]
    assert store.answers("rating", "bob") == []
    assert store.keys() == {"1", "2", "3"}
    assert not store.has("4")


def test_an_amended_answer_stays_and_is_left_out(store):
    one = store.add(comparison("1", "a"))
    two = store.add(Answer("2", "ada", "human", Rating("p", "p0", 4), amends="1"))
    three = store.add(comparison("3", "b", amends="2"))
    assert store.answers() == [three]
    assert store.answers(kind="rating") == []
    assert store.answers(amended=True) == [one, two, three]


def test_amending_is_for_ones_own_and_once(store):
    store.add(comparison("1"))
    with pytest.raises(StoreError, match="amends 'x', and there is no such answer"):
        store.add(comparison("2", amends="x"))
    with pytest.raises(StoreError, match="annotators amend their own answers only"):
        store.add(comparison("2", annotator="bob", amends="1"))
    store.add(comparison("2", amends="1"))
    with pytest.raises(StoreError, match="which '2' replaced; amend '2' instead"):
        store.add(comparison("3", amends="1"))
    assert len(store.answers(amended=True)) == 2


@pytest.mark.parametrize("kinds", [("simulated", "human"), ("human", "simulated"), ("model", "human")])
def test_a_simulation_never_passes_for_a_person(store, kinds):
    before, after = kinds
    store.add(Answer("1", "ada", before, Rating("p", "p0", 4)))
    with pytest.raises(StoreError, match=f"'ada' is {before} in this store and cannot answer as {after}"):
        store.add(Answer("2", "ada", after, Rating("p", "p1", 4)))
    assert [answer.annotator_kind for answer in store.answers()] == [before]


BAD = {
    "unknown completion": Answer("k", "ada", "human", Comparison("p", "p0", "p9", "a")),
    "another prompt's": Answer("k", "ada", "human", Comparison("p", "p0", "q0", "a")),
    "off the scale": Answer("k", "ada", "human", Rating("p", "p0", 6)),
    "changes nothing": Answer("k", "ada", "human", Edit("p", "p0", BY_ID["p0"].text)),
    "amends nothing": Answer("k", "ada", "human", Edit("p", "p0", "Seven."), amends="x"),
    "half a character": Answer("k", "ada", "human", Edit("p", "p0", "\udc80")),
    "half a character of a criterion": Answer("k", "ada", "human", Rating("p", "p0", 3, 5, "\udc80")),
    "no key": Answer("", "ada", "human", Rating("p", "p0", 3)),
    "nobody": Answer("k", "", "human", Rating("p", "p0", 3)),
    "before it began": Answer("k", "ada", "human", Rating("p", "p0", 3), -1.0),
    "no time at all": Answer("k", "ada", "human", Rating("p", "p0", 3), math.nan),
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_a_refused_answer_leaves_nothing_behind(store, answer):
    before = store.counts()
    with pytest.raises(ValueError):
        store.add(answer)
    assert store.counts() == before


def test_half_characters_are_refused_before_anything_is_stored(store):
    with pytest.raises(StoreError, match="completion 'x' has half a character"):
        store.add_completions([Completion("y", "p", "fine", "m"), Completion("x", "p", "\ud800", "m")])
    with pytest.raises(StoreError, match="prompt 'r' has half a character"):
        store.add_prompts([Prompt("r", (Message("user", (Text("\ud800"),)),))])
    assert store.counts() == {"prompts": 2, "completions": 8, "annotators": 0, "answers": 0}


def test_a_revision_becomes_a_completion_with_its_edit(store):
    said = Edit("p", "p0", "Seven.")
    store.add(Answer("1", "ada", "human", said))
    store.add(Answer("2", "ada", "human", said))
    better = revision(said, "ada")
    assert store.completions("p") == [*COMPLETIONS[:4], better]
    store.add(Answer("3", "bob", "human", Comparison("p", "p0", better.id, "b")))
    store.add_completions([better])


def test_a_revision_that_meets_another_completion_of_its_id_is_refused(store):
    said = Edit("p", "p0", "Seven.")
    store.add_completions([Completion(revision(said, "ada").id, "p", "Eight.", "model")])
    with pytest.raises(StoreError, match="of a revision is taken"):
        store.add(Answer("1", "ada", "human", said))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["UPDATE {} SET rowid = rowid + 100", "DELETE FROM {}"])
def test_rows_are_only_ever_added(store, table, statement):
    store.add(comparison("1"))
    before = store.counts()
    with raw(store) as connection, pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
        connection.execute(statement.format(table))
    assert store.counts() == before


def test_replacing_a_row_is_deleting_it(store):
    store.add(comparison("1", "a"))
    copy = "SELECT seq, key, kind, annotator, prompt_id, :said, seconds, amends, created_at, people FROM answers"
    said = json.dumps({"prompt_id": "p", "a": "p0", "b": "p1", "choice": "b"})
    with pytest.raises(IntegrityError, match="append-only"), store._writer.begin() as connection:
        connection.execute(text(f"INSERT OR REPLACE INTO answers {copy}"), {"said": said})
    assert store.answers() == [comparison("1", "a")]


def test_the_time_of_an_answer_is_kept_in_utc(store):
    store.add(comparison("1"))
    with raw(store) as connection:
        ((stored,),) = connection.execute("SELECT created_at FROM answers")
    age = datetime.now(UTC) - datetime.fromisoformat(stored).replace(tzinfo=UTC)
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_the_export_has_every_answer(store, tmp_path):
    store.add(comparison("1"))
    store.add(Answer("2", "ada", "human", Edit("p", "p0", "七。"), 1.5, amends="1"))
    out = tmp_path / "new" / "answers.jsonl"
    store.export_jsonl(out)
    store.export_jsonl(out)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["key"] for line in lines] == ["1", "2"]
    assert lines[1] == {
        "key": "2",
        "annotator": "ada",
        "annotator_kind": "human",
        "kind": "edit",
        "said": {"prompt_id": "p", "completion": "p0", "revision": "七。"},
        "seconds": 1.5,
        "amends": "1",
        "count": 1,
    }
    assert [path.name for path in out.parent.iterdir()] == ["answers.jsonl"]


def test_everything_is_there_when_opened_again(store):
    store.add(comparison("1"))
    store.close()
    with FeedbackStore(store.url.database) as again:
        assert again.answers() == [comparison("1")]
        assert again.prompts() == PROMPTS


def test_a_store_of_the_first_schema_is_brought_up_with_its_answers(tmp_path):
    path = tmp_path / "old.db"
    with FeedbackStore(path) as opened:
        opened.add_prompts(PROMPTS)
        opened.add_completions(COMPLETIONS)
        opened.add(comparison("1"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE answers DROP COLUMN people")
        for table in reversed(metadata.sorted_tables):
            if table.name not in TABLES:
                connection.execute(f"DROP TABLE {table.name}")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with FeedbackStore(path) as opened:
        assert opened.answers() == [comparison("1")]
        crowd = replace(comparison("2"), count=7)
        opened.add(crowd)
        assert opened.answers()[-1] == crowd
        with pytest.raises(StoreError, match="0 people said it"):
            opened.add(replace(comparison("3"), count=0))
