from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import BY_ID, COMPLETIONS, PROMPTS, statements

from harken.feedback.annotators.annotator import Annotator
from harken.feedback.annotators.replay import ReplayAnnotator, ReplayConfig, replay_annotators
from harken.feedback.collect import collect
from harken.feedback.queue import Assignment, Compare, Rank, Rate, Revise, plan_questions
from harken.feedback.records import check
from harken.types import Answer, Comparison, Edit, Feedback, Ranking, Rating

BY_NAME = {prompt.id: prompt for prompt in PROMPTS}


def on_record(*said: Feedback, kind="human", counts=(), name: str = "ada") -> list[Answer]:
    many = counts or [1] * len(said)
    return [Answer(f"{name}{i}", name, kind, s, count=n) for i, (s, n) in enumerate(zip(said, many, strict=True))]


def ask(answers: list[Answer], question, **config) -> Feedback | None:
    return ReplayAnnotator(answers, ReplayConfig(**config)).answer(BY_NAME, question, BY_ID)


def test_it_is_an_annotator_and_everybody_keeps_their_kind():
    people = [*on_record(Rating("p", "p0", 3)), *on_record(Rating("p", "p0", 1), kind="model", name="clever")]
    found = replay_annotators(people[::-1])
    assert [(one.id, one.kind) for one in found] == [("ada", "human"), ("clever", "model")]
    assert all(isinstance(one, Annotator) for one in found)
    with pytest.raises(ValueError, match=r"one annotator of one kind.*replay_annotators"):
        ReplayAnnotator(people)
    with pytest.raises(ValueError, match="nobody"):
        ReplayAnnotator([])
    with pytest.raises(AttributeError):
        found[1].kind = "human"


@pytest.mark.parametrize(("choice", "turned"), [("a", "b"), ("b", "a"), ("tie", "tie"), ("both_bad", "both_bad")])
def test_a_recorded_comparison_is_given_on_either_side(choice, turned):
    record = on_record(Comparison("p", "p1", "p0", choice))
    assert ask(record, Compare("p", "p1", "p0")) == Comparison("p", "p1", "p0", choice)
    assert ask(record, Compare("p", "p0", "p1")) == Comparison("p", "p0", "p1", turned)
    assert ask(record, Compare("p", "p0", "p2")) is None
    across = on_record(Comparison("q", "q0", "p0", choice, "fluency", "p"))
    assert ask(across, Compare("p", "p0", "q0", "q")) is None
    said = ask(across, Compare("p", "p0", "q0", "q"), criterion="fluency")
    assert said == Comparison("p", "p0", "q0", turned, "fluency", "q")


def test_a_comparison_is_read_off_the_person_s_own_ratings():
    record = on_record(
        Rating("p", "p0", 4, 5, "fluency"), Rating("p", "p1", 2, 5, "fluency"), Rating("q", "q0", 4, 5, "fluency"),
        Rating("p", "p2", 9, 10, "fluency"), Rating("p", "p1", 5),
    )  # fmt: skip
    fluent = {"criterion": "fluency"}
    assert ask(record, Compare("p", "p0", "p1"), **fluent) == Comparison("p", "p0", "p1", "a", "fluency")
    assert ask(record, Compare("p", "p1", "p0"), **fluent) == Comparison("p", "p1", "p0", "b", "fluency")
    assert ask(record, Compare("p", "p0", "q0", "q"), **fluent) == Comparison("p", "p0", "q0", "tie", "fluency", "q")
    assert ask(record, Compare("p", "p0", "q0", "q"), equal="skip", **fluent) is None
    assert ask(record, Compare("p", "p0", "p2"), **fluent) is None
    assert ask(record, Compare("p", "p0", "p1"), derive=False, **fluent) is None
    assert ask(record, Compare("p", "p0", "p1")) is None
    # What was said of the pair itself goes before what was said of each.
    both = [*record, *on_record(Comparison("p", "p0", "p1", "b", "fluency"), name="ada")]
    assert ask(both, Compare("p", "p0", "p1"), **fluent).choice == "b"


def test_ratings_rankings_and_edits_as_they_were_said():
    rank, edit = Ranking("p", (("p2",), ("p0", "p1"))), Edit("p", "p0", "Seven.")
    record = on_record(Rating("p", "p0", 2), Rating("p", "p0", 7, 9, "wit"), rank, edit)
    assert ask(record, Rate("p", "p0")) == Rating("p", "p0", 2)
    assert ask(record, Rate("p", "p0"), criterion="wit") == Rating("p", "p0", 7, 9, "wit")
    assert ask(record, Rank("p", ("p0", "p1", "p2"))) == rank
    assert ask(record, Rank("p", ("p0", "p1", "p2", "p3"))) is None
    assert ask(record, Revise("p", "p0")) == edit
    assert ask(record, Rate("p", "p1")) is ask(record, Revise("p", "p1")) is None


def test_the_newest_counts_and_what_was_amended_does_not():
    record = on_record(Comparison("p", "p0", "p1", "a"), Comparison("p", "p1", "p0", "a"))
    assert ask(record, Compare("p", "p0", "p1")).choice == "b"
    amended = [replace(record[1], key="new", amends="old"), replace(record[0], key="old")]
    assert ask(amended, Compare("p", "p0", "p1")).choice == "b"


def test_a_crowd_answers_as_one_of_its_members_drawn_by_the_counts():
    said = [Comparison("p", "p0", "p1", "a"), Comparison("p", "p1", "p0", "a"), Comparison("p", "p1", "p0", "tie")]
    record = on_record(*said, counts=(6, 3, 1))
    drawn = [ask(record, Compare("p", "p0", "p1"), seed=seed).choice for seed in range(2000)]
    shares = Counter(drawn)
    assert (shares["a"], shares["b"], shares["tie"]) == pytest.approx((1200, 600, 200), abs=90)
    turned = [ask(record[::-1], Compare("p", "p1", "p0"), seed=seed).choice for seed in range(2000)]
    assert turned == [{"a": "b", "b": "a"}.get(choice, choice) for choice in drawn]
    rated = on_record(Rating("p", "p0", 1), Rating("p", "p0", 5), counts=(1, 3))
    assert Counter(ask(rated, Rate("p", "p0"), seed=s).score for s in range(400))[5] == pytest.approx(300, abs=40)


@settings(max_examples=60)
@given(said=st.lists(statements, min_size=1, max_size=8), seed=st.integers(0, 2**32))
def test_whatever_is_on_record_is_answered_sensibly(said, seed):
    record = on_record(*said)
    for assignment in plan_questions(
        COMPLETIONS, dict.fromkeys(("comparison", "ranking", "rating", "edit"), 9), ["ada"], 1, seed
    ):
        found = ask(record, assignment.question)
        if found is not None:
            check(found, BY_ID)
            assert found in said or isinstance(found, Comparison)


def test_replayed_answers_are_people_s_in_the_store(store):
    people = replay_annotators([*on_record(Rating("p", "p0", 2)), *on_record(Rating("p", "p1", 4), name="bob")])
    plan = [Assignment(f"{one.id}{n}", one.id, Rate("p", n)) for one in people for n in ("p0", "p1")]
    report = collect(store, plan, {one.id: one for one in people})
    assert (report.answered, report.skipped) == (2, 2)
    assert [(a.annotator, a.annotator_kind, a.feedback.score) for a in store.answers()] == [
        ("ada", "human", 2),
        ("bob", "human", 4),
    ]
