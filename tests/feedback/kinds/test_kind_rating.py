import pytest
from said import BY_ID

from harken.feedback.kinds.rating import check, from_json, pairs, to_json
from harken.types import Rating

WIRE = {"prompt_id": "p", "completion": "p0", "score": 3, "levels": 5, "criterion": "overall"}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Rating("p", "p9", 3), "no completion 'p9'"),
        (Rating("p", "q0", 3), "answers prompt 'q'"),
        (Rating("p", "p0", 0), "from 1 to 5, not 0"),
        (Rating("p", "p0", 6), "from 1 to 5, not 6"),
        (Rating("p", "p0", 1, levels=1), "at least 2 levels, not 1"),
        (Rating("p", "p0", 1, criterion=" "), "name the criterion"),
    ],
)
def test_what_makes_no_sense_is_refused(said, why):
    with pytest.raises(ValueError, match=why):
        check(said, BY_ID)


@pytest.mark.parametrize("score", [1, 5])
def test_both_ends_of_the_scale_are_on_it(score):
    assert check(Rating("p", "p0", score), BY_ID) is None


def test_one_grade_orders_nothing():
    assert pairs(Rating("p", "p0", 5)) == []


def test_the_wire_form():
    assert to_json(Rating("p", "p0", 3)) == WIRE
    assert from_json(WIRE) == Rating("p", "p0", 3)


@pytest.mark.parametrize("change", [{"score": True}, {"score": 3.0}, {"levels": "5"}, {"stars": 5}])
def test_other_wire_forms_are_refused(change):
    with pytest.raises(ValueError, match="rating: "):
        from_json({**WIRE, **change})
