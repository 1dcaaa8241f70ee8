"""Chosen pairs to questions: loads, overlap, sides, and pairs of two prompts."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import BY_ID, COMPLETIONS, PROMPTS

from harken.feedback.annotators.simulated import SimulatedAnnotator
from harken.feedback.collect import collect
from harken.feedback.queue import (
    Assignment,
    Compare,
    Staff,
    assign_pairs,
    compare,
    completions_of,
    pairs_asked,
    plan_selected,
    prompts_of,
)
from harken.feedback.selection import Candidates, SelectionConfig
from harken.feedback.tables import tables
from harken.types import Answer, Comparison

PEOPLE = ("ada", "bob", "cyd", "dee")
PAIRS = [compare(a, b) for i, a in enumerate(COMPLETIONS) for b in COMPLETIONS[:i]]


def names(question: Compare) -> frozenset[str]:
    return frozenset(completions_of(question))


@settings(max_examples=80)
@given(
    count=st.integers(0, 28),
    people=st.integers(1, 4),
    overlap=st.integers(1, 4),
    load=st.none() | st.integers(0, 12),
    asked=st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PAIRS)), max_size=30),
    seed=st.integers(0, 2**63),
)
def test_loads_and_overlap_are_kept_and_nobody_gets_a_pair_twice(count, people, overlap, load, asked, seed):
    overlap = min(overlap, people)
    before: dict[str, set[frozenset[str]]] = {}
    for name, question in asked:
        before.setdefault(name, set()).add(names(question))
    staff = Staff(PEOPLE[:people], overlap, load, before)
    found = assign_pairs(PAIRS[:count], staff, seed)
    assert found == assign_pairs(
        [q.turned() for q in PAIRS[:count]], Staff(PEOPLE[:people][::-1], overlap, load, before), seed
    )
    assert len({a.key for a in found}) == len(found)
    given_to = Counter(a.annotator for a in found)
    assert not load or max(given_to.values(), default=0) <= load
    who: dict[frozenset[str], list[str]] = {}
    for assignment in found:
        who.setdefault(names(assignment.question), []).append(assignment.annotator)
        assert names(assignment.question) not in before.get(assignment.annotator, ())
        assert prompts_of(assignment.question)[-1] == BY_ID[assignment.question.b].prompt_id
        assert assignment.question.prompt_id == BY_ID[assignment.question.a].prompt_id
    assert all(len(set(names_)) == len(names_) == overlap for names_ in who.values())
    if load is None and not asked:
        assert list(who) == [names(q) for q in PAIRS[:count]]
        assert max(given_to.values(), default=0) - min((given_to[n] for n in staff.annotators), default=0) <= 1
    # What was left out had not enough people with room.
    if load is not None and not asked and len(who) < count:
        assert sum(given_to[n] < load for n in staff.annotators) < overlap


def test_sides_are_even_and_those_of_two_prompts_change_prompts_too():
    turned = Counter()
    for seed in range(40):
        for assignment in assign_pairs(PAIRS, Staff(["ada"]), seed):
            turned[assignment.question.a < assignment.question.b] += 1
    assert abs(turned[True] - turned[False]) < 0.1 * sum(turned.values())
    across = Compare("p", "p0", "q0", "q")
    assert across.turned() == Compare("q", "q0", "p0", "p")
    assert across.turned().turned() == across


def test_keys_of_questions_of_one_prompt_are_what_they_were():
    assert repr(Compare("p", "x", "y")) == "Compare(prompt_id='p', a='x', b='y')"
    assert repr(Compare("p", "x", "y", "q")) == "Compare(prompt_id='p', a='x', b='y', other_prompt_id='q')"


def selected(answered: list[Answer], seed: int = 3) -> list[Assignment]:
    row = {c.id: i for i, c in enumerate(COMPLETIONS)}
    scores = np.random.default_rng(0).normal(size=(len(COMPLETIONS), 4))
    pairs = np.array([[row[q.a], row[q.b]] for q in PAIRS])
    known = np.array([[row[a.feedback.a], row[a.feedback.b]] for a in answered], dtype=int).reshape(-1, 2)
    staff = Staff(["ada", "bob"], 2, 10, pairs_asked(answered))
    return plan_selected(COMPLETIONS, Candidates(pairs, scores, None, known), SelectionConfig("bald", 6), staff, seed)


def test_chosen_pairs_are_answered_and_not_chosen_again(store):
    plan = selected([])
    assert plan == selected([]) != selected([], 4)
    assert len({names(a.question) for a in plan}) == 6
    assert any(a.question.other_prompt_id for a in plan)

    def longer(prompt, completion):
        assert completion.prompt_id == prompt.id
        return float(completion.id[1]) + (prompt.id == "q") / 2

    people = {n: SimulatedAnnotator(n, longer, lambda p, c, r: c.text, 0.0, 0.0, 1.0, 0) for n in ("ada", "bob")}
    assert collect(store, plan, people).answered == 12
    said = store.answers()
    assert pairs_asked(said)["ada"] == {names(a.question) for a in plan}
    for answer in said:
        better = answer.feedback.a if answer.feedback.choice == "a" else answer.feedback.b
        other = ({answer.feedback.a, answer.feedback.b} - {better}).pop()
        assert longer(PROMPTS["pq".index(better[0])], BY_ID[better]) > longer(
            PROMPTS["pq".index(other[0])], BY_ID[other]
        )
    # Two people, two orders of the sides: the same six things were judged.
    (table,) = tables(said, BY_ID)
    assert (len(table.annotators), len(table.items)) == (2, 6)
    again = selected(said)
    assert not {names(a.question) for a in again} & {names(a.question) for a in plan}


def test_what_cannot_be_planned_is_named(store):
    with pytest.raises(ValueError, match="overlap is 3"):
        Staff(["ada", "bob"], 3)
    with pytest.raises(ValueError, match="named twice"):
        Staff(["ada", "ada"])
    with pytest.raises(ValueError, match="load is -1"):
        Staff(["ada"], 1, -1)
    some = Candidates(np.array([[0, 1]]), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="8 completions and scores of 2"):
        plan_selected(COMPLETIONS, some, SelectionConfig("random"), Staff(["ada"]), 0)
    people = {"ada": SimulatedAnnotator("ada", lambda p, c: 0.0, lambda p, c, r: "", 0.0, 0.0, 1.0, 0)}
    for question, words in [
        (Compare("p", "p0", "q0"), "other_prompt_id"),
        (Compare("p", "p0", "q0", "none"), "add it to the store"),
        (Compare("q", "p0", "q0", "p"), "answers 'p'"),
    ]:
        with pytest.raises(ValueError, match=words):
            collect(store, [Assignment("k", "ada", question)], people)
    collect(store, [Assignment("k", "ada", Compare("p", "p0", "q0", "q"))], people)
    assert [a.feedback for a in store.answers()] == [Comparison("p", "p0", "q0", "tie", other_prompt_id="q")]
