import pytest
from hypothesis import given, settings
from said import BY_ID, rankings

from harken.feedback.kinds.ranking import check, from_json, pairs, to_json
from harken.types import Ranking

WIRE = {"prompt_id": "p", "tiers": [["p0"], ["p1", "p2"]], "rest": ["p3"]}


@pytest.mark.parametrize(
    ("tiers", "rest", "why"),
    [
        ((("p0",), ("p9",)), (), "no completion 'p9'"),
        ((("p0",), ("q1",)), (), "answers prompt 'q'"),
        ((("p0",), ("p1", "p0")), (), "'p0' stands in it twice"),
        ((("p0",), ("p1",)), ("p1",), "'p1' stands in it twice"),
        ((("p0",), (), ("p1",)), (), "at least one completion"),
        ((), ("p0", "p1"), "at least one completion"),
        ((("p0",),), (), "at least two"),
    ],
)
def test_what_makes_no_sense_is_refused(tiers, rest, why):
    with pytest.raises(ValueError, match=why):
        check(Ranking("p", tiers, rest), BY_ID)


def test_which_beats_which():
    said = Ranking("p", (("p0",), ("p1", "p2")), ("p3",))
    check(said, BY_ID)
    assert pairs(said) == [("p0", "p1"), ("p0", "p2"), ("p0", "p3"), ("p1", "p3"), ("p2", "p3")]


@settings(max_examples=50)
@given(said=rankings())
def test_pairs_are_an_order(said):
    place = {name: i for i, tier in enumerate([*said.tiers, said.rest]) for name in tier}
    expected = {(a, b) for a in place for b in place if place[a] < place[b]}
    assert set(pairs(said)) == expected
    assert len(pairs(said)) == len(expected)


def test_the_wire_form():
    said = Ranking("p", (("p0",), ("p1", "p2")), ("p3",))
    assert to_json(said) == WIRE
    assert from_json(WIRE) == said


@pytest.mark.parametrize(
    "change", [{"tiers": [["p0"], "p1"]}, {"tiers": [["p0"], [1]]}, {"rest": [2]}, {"tiers": "p0"}, {"order": []}]
)
def test_other_wire_forms_are_refused(change):
    with pytest.raises(ValueError, match="ranking: "):
        from_json({**WIRE, **change})
