"""What is asked first, by what a reward model says: a plain reading of the shares, and every comparison once."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.desk.desk import Desk, Item
from harken.feedback.desk.ordering import Order, places
from harken.feedback.desk.settings import ProjectSettings


def pairs(count: int) -> list[Item]:
    return [Item(n + 1, 1, "comparison", f"p{n}", (f"a{n}", f"b{n}"), float(n)) for n in range(count)]


def doubtful(items: list[Item], unsure: set[int]) -> dict[str, list[float]]:
    """Two heads that agree on all pairs but some."""
    out = {}
    for item in items:
        a, b = item.completions
        out[a], out[b] = ([2.0, -2.0] if item.id in unsure else [2.0, 2.0]), [0.0, 0.0]
    return out


@settings(max_examples=60)
@given(st.integers(0, 150), st.integers(0, 30), st.sampled_from(["bald", "disagreement", "random"]), st.integers(0, 9))
def test_every_comparison_has_one_place_whatever_is_known(scored, others, policy, seed):
    items = pairs(scored + others)
    known = doubtful(items[:scored], set(range(0, scored, 3)))
    how = Order(policy, 0.25, seed)
    found = places(items, known, how)
    assert sorted(found) == [item.id for item in items]
    assert sorted(found.values()) == [float(n) for n in range(len(items))]
    assert found == places(items[::-1], known, how)


def test_where_heads_differ_comes_first_and_the_rest_is_spread_evenly():
    items, unsure = pairs(200), set(range(1, 61))
    found = places(items, doubtful(items[:160], unsure), Order("disagreement", 0.25, 3))  # forty have no scores
    by_place = sorted(found, key=lambda item: found[item])
    # Of 120 by policy 45 or so are unsure, and come first; 80 at random or unscored stand among them, two of five.
    for begin in range(0, 200, 50):
        stretch = by_place[begin : begin + 50]
        assert 4 <= sum(item > 160 for item in stretch) <= 17
    late = sum(item in unsure for item in by_place[100:])
    assert late <= 15, "of those that were left to chance, half"
    assert sum(item in unsure for item in by_place[:75]) >= 45


def test_other_forms_and_known_answers_stay_where_they_are():
    items = [*pairs(3), Item(9, 1, "rating", "p", ("a0",), 0.0), Item(8, 1, "comparison", "p", ("a0", "b0"), 0.0, {})]
    assert set(places(items, {}, Order())) == {1, 2, 3}


@pytest.mark.parametrize(
    ("known", "how", "words"),
    [
        ({"a0": [1.0, 2.0], "b0": [1.0]}, {}, "each completion needs as many"),
        ({"a0": [1.0], "b0": [1.0]}, {}, "heads"),
        ({"a0": [math.nan, 1.0], "b0": [1.0, 1.0]}, {}, "not finite"),
        ({}, {"random_share": 1.5}, "from 0 to 1"),
    ],
)
def test_bad_scores_are_words(known, how, words):
    with pytest.raises(ValueError, match=words):
        places(pairs(1), known, Order(**{"random_share": 0.0, **how}))


def test_a_desk_gives_what_was_moved_first_and_only_what_still_wants_answers_is_moved():
    desk = Desk()
    desk.set_project(1, ProjectSettings("t", overlap=1))
    desk.add_items(pairs(6))
    (first,), _ = desk.give(1, "ann", "tab", (), 1, 0.0)
    desk.end(first.key, "answered")
    assert [item.id for item in desk.wanting(1)] == [2, 3, 4, 5, 6]
    desk.move({6: 0.0, 2: 9.0})
    given, _ = desk.give(1, "ann", "tab", (), 6, 0.0)
    assert [turn.item for turn in given] == [6, 3, 4, 5, 2]
