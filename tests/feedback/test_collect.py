from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from said import COMPLETIONS

from harken.feedback.annotators.annotator import Annotator, StopAsking
from harken.feedback.collect import CollectReport, collect
from harken.feedback.queue import Assignment, Compare, Question, Rate, plan_questions
from harken.types import AnnotatorKind, Completion, Feedback, Prompt, Rating


@dataclass
class Grader:
    """Grades 3; skips what it is told to skip, and stops after `patience` questions."""

    id: str
    kind: AnnotatorKind = "human"
    patience: int = 1_000
    skips: tuple[str, ...] = ()
    seen: list[str] = field(default_factory=list)

    def answer(
        self, prompts: Mapping[str, Prompt], question: Question, completions: Mapping[str, Completion]
    ) -> Feedback | None:
        if len(self.seen) == self.patience:
            raise StopAsking
        assert isinstance(question, Rate)
        self.seen.append(question.completion)
        assert completions[question.completion].prompt_id == prompts[question.prompt_id].id == question.prompt_id
        return None if question.completion in self.skips else Rating(question.prompt_id, question.completion, 3)


@pytest.fixture
def plan() -> list[Assignment]:
    return plan_questions(COMPLETIONS, {"rating": 8}, ["ada", "bob"], 1, 0)


def test_answers_are_kept_under_the_assignments_keys(store, plan):
    people = {"ada": Grader("ada"), "bob": Grader("bob", kind="simulated")}
    assert all(isinstance(person, Annotator) for person in people.values())
    seen: list[Assignment] = []
    assert collect(store, plan, people, seen.append) == CollectReport(0, 8, 0, stopped=False)
    assert seen == plan
    assert [(a.key, a.annotator) for a in store.answers()] == [(a.key, a.annotator) for a in plan]
    for answer in store.answers():
        # The time of a simulation says nothing, and would differ from run to run.
        assert (answer.seconds is None) == (answer.annotator == "bob")
        assert answer.annotator_kind == people[answer.annotator].kind


def test_it_stops_when_asked_to_and_goes_on_where_it_stopped(store, plan):
    tired = {name: Grader(name, patience=2) for name in ("ada", "bob")}
    report = collect(store, plan, tired)
    assert report.stopped
    assert report.answered == sum(len(person.seen) for person in tired.values()) == len(store.answers())
    fresh = {name: Grader(name) for name in ("ada", "bob")}
    assert collect(store, plan, fresh) == CollectReport(report.answered, 8 - report.answered, 0, stopped=False)
    for name in ("ada", "bob"):
        assert set(tired[name].seen).isdisjoint(fresh[name].seen)
    assert collect(store, plan, fresh) == CollectReport(8, 0, 0, stopped=False)
    assert len(store.answers()) == 8


def test_what_was_skipped_is_not_kept_and_asked_again(store, plan):
    people = {name: Grader(name, skips=("p0", "q3")) for name in ("ada", "bob")}
    assert collect(store, plan, people) == CollectReport(0, 6, 2, stopped=False)
    again = {name: Grader(name) for name in ("ada", "bob")}
    assert collect(store, plan, again) == CollectReport(6, 2, 0, stopped=False)
    assert sorted(again["ada"].seen + again["bob"].seen) == ["p0", "q3"]


def test_one_key_is_asked_once(store, plan):
    people = {name: Grader(name) for name in ("ada", "bob")}
    assert collect(store, plan[:1] * 3, people) == CollectReport(2, 1, 0, stopped=False)


def test_an_answer_that_makes_no_sense_is_refused_and_those_before_it_are_kept(store):
    @dataclass
    class Wild(Grader):
        def answer(
            self, prompts: Mapping[str, Prompt], question: Question, completions: Mapping[str, Completion]
        ) -> Feedback | None:
            return Rating(question.prompt_id, question.completion, 3 if question.completion == "p0" else 9)

    plan = [Assignment(name, "ada", Rate("p", name)) for name in ("p0", "p1")]
    with pytest.raises(ValueError, match="from 1 to 5, not 9"):
        collect(store, plan, {"ada": Wild("ada")})
    assert [answer.key for answer in store.answers()] == ["p0"]


@pytest.mark.parametrize(
    ("assignment", "why"),
    [
        (Assignment("k", "eve", Rate("p", "p0")), "annotator 'eve', who is not among ada, bob"),
        (Assignment("k", "bob", Rate("p", "p0")), "annotator 'bob', who is not among"),
        (Assignment("k", "ada", Rate("r", "p0")), "prompt 'r'; add it to the store first"),
        (Assignment("k", "ada", Compare("p", "p0", "p9")), "completion 'p9'; add it to the store first"),
    ],
)
def test_an_assignment_that_cannot_be_asked_is_refused_before_anybody_is(store, assignment, why):
    ada = Grader("ada")
    with pytest.raises(ValueError, match=why):
        collect(store, [Assignment("1", "ada", Rate("p", "p1")), assignment], {"ada": ada, "bob": Grader("robert")})
    assert ada.seen == []
