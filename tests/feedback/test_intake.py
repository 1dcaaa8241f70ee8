"""Many answers in one transaction: as one by one, but all or none."""

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from said import COMPLETIONS, PROMPTS, comparison, statements

from harken.feedback.database import StoreError
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Edit, Rating


def fresh(path):
    store = FeedbackStore(path)
    store.add_prompts(PROMPTS)
    store.add_completions(COMPLETIONS)
    return store


@st.composite
def batches(draw):
    """Answers that can be kept, with repeated keys, several annotators, and amendments of earlier ones."""
    given_: list[Answer] = []
    for i in range(draw(st.integers(1, 6))):
        who = draw(st.sampled_from(["ada", "bob"]))
        mine = [a for a in given_ if a.annotator == who and a.key not in {b.amends for b in given_}]
        amends = draw(st.sampled_from([None, *[a.key for a in mine]]))
        count = draw(st.integers(1, 3))
        given_.append(Answer(f"k{i}", who, "human", draw(statements), None, amends, count))
        if draw(st.booleans()):
            given_.append(draw(st.sampled_from(given_)))
    return given_


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches(), st.integers(0, 6))
def test_together_is_as_one_by_one(tmp_path_factory, batch, cut):
    folder = tmp_path_factory.mktemp("stores")
    with fresh(folder / "one.db") as one, fresh(folder / "all.db") as together:
        singly = [one.add(answer) for answer in batch]
        both = [*together.add_answers(batch[:cut]), *together.add_answers(batch[cut:])]
        assert both == singly
        assert together.answers(amended=True) == one.answers(amended=True)
        assert together.answers() == one.answers()
        assert together.completions() == one.completions()
        assert together.counts() == one.counts()


BAD = {
    "statement": Answer("z", "ada", "human", Rating("p", "p0", 9)),
    "unknown completion": Answer("z", "ada", "human", Comparison("p", "p0", "none", "a")),
    "kind": Answer("z", "ada", "model", Rating("p", "p0", 2)),
    "amends nothing": comparison("z", amends="none"),
    "amends another's": comparison("z", annotator="bob", amends="k1"),
    "amended already": comparison("z", amends="k1"),
    "no key": comparison(""),
    "nobody": Answer("z", "ada", "human", Rating("p", "p0", 2), count=0),
    "revision taken": Answer("z", "ada", "human", Edit("p", "p0", "It is 0 of p.")),
    "half a letter": comparison("\ud800"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_with_one_bad_answer_none_is_kept(store, bad):
    before = store.counts()
    good = [comparison("k1"), comparison("k2", "b", amends="k1"), Answer("k3", "ada", "human", Edit("p", "p1", "new"))]
    with pytest.raises(ValueError):
        store.add_answers([*good, bad])
    assert store.counts() == before
    assert store.answers(amended=True) == []
    assert store.add_answers(good) == good


def test_an_amendment_of_one_in_the_same_batch(store):
    store.add_answers([comparison("k1"), comparison("k2", "b", amends="k1")])
    assert [answer.key for answer in store.answers()] == ["k2"]
    with pytest.raises(StoreError, match="'k2' replaced; amend 'k2' instead"):
        store.add_answers([comparison("k3", amends="k1")])


@pytest.mark.slow
def test_more_keys_than_one_query_takes(store):
    many = [Answer(f"k{i}", "ada", "human", Rating("p", "p0", 1 + i % 5)) for i in range(5_100)]
    store.add_answers(many[:10])
    assert len(store.add_answers(many)) == 5_100
    assert store.counts()["answers"] == 5_100


def test_nothing_is_nothing(store):
    assert store.add_answers([]) == []


def test_a_writer_that_was_killed_leaves_all_or_nothing(tmp_path):
    """The file as it would be found: a transaction that was not ended is not there."""
    with fresh(tmp_path / "a.db") as store:
        store.add_answers([comparison("k1")])
    base = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    base.execute("begin immediate")
    base.execute("insert into annotators (id, kind) values ('bob', 'human')")
    base.close()
    with FeedbackStore(tmp_path / "a.db") as store:
        assert store.counts()["annotators"] == 1
