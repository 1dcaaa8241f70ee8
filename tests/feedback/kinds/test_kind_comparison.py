import pytest
from said import BY_ID

from harken.feedback.kinds.comparison import check, from_json, pairs, to_json
from harken.types import Comparison

WIRE = {"prompt_id": "p", "a": "p0", "b": "p1", "choice": "a"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Comparison("p", "p0", "nobody", "a"), "no completion 'nobody'; add it to the store"),
        (Comparison("p", "p0", "q0", "a"), "completion 'q0' answers prompt 'q'"),
        (Comparison("p", "p0", "p0", "tie"), "compared with itself"),
    ],
)
def test_what_makes_no_sense_is_refused(said, why):
    with pytest.raises(ValueError, match=why):
        check(said, BY_ID)


def test_what_makes_sense_is_taken():
    assert check(Comparison("p", "p0", "p1", "both_bad"), BY_ID) is None


@pytest.mark.parametrize(
    ("choice", "better"), [("a", [("p0", "p1")]), ("b", [("p1", "p0")]), ("tie", []), ("both_bad", [])]
)
def test_which_beats_which(choice, better):
    assert pairs(Comparison("p", "p0", "p1", choice)) == better


def test_the_wire_form():
    assert to_json(Comparison("p", "p0", "p1", "a")) == WIRE
    assert from_json(WIRE) == Comparison("p", "p0", "p1", "a")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"choice": "c"}, "one of a, b, tie, both_bad, not 'c'"),
        ({"a": 1}, "'a' must be str"),
        ({"winner": "a"}, "unknown key 'winner'"),
    ],
)
def test_other_wire_forms_are_refused(change, why):
    with pytest.raises(ValueError, match=why):
        from_json({**WIRE, **change})


def test_answers_to_two_prompts_are_compared_where_it_is_said():
    across = Comparison("p", "p0", "q0", "a", "fluency", "q")
    check(across, BY_ID)
    assert from_json(to_json(across)) == across
    assert to_json(across) == {**WIRE, "b": "q0", "criterion": "fluency", "other_prompt_id": "q"}
    with pytest.raises(ValueError, match="answers prompt 'q'"):
        check(Comparison("p", "p0", "q0", "a"), BY_ID)
    with pytest.raises(ValueError, match="name the criterion"):
        check(Comparison("p", "p0", "p1", "a", " "), BY_ID)
