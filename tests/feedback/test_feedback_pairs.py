"""Pairs that every kind implies."""

from harken.feedback.kinds.edit import revision
from harken.feedback.pairs import implied_pairs
from harken.types import Answer, Comparison, Edit, Ranking, Rating


def test_every_kind_implies_its_pairs():
    edited = Edit("p", "x", "better")
    said = [
        Comparison("p", "x", "y", "b"),
        Comparison("p", "x", "y", "tie"),
        Ranking("p", (("x",), ("y", "z")), ("w",)),
        edited,
        Rating("p", "x", 2),
        Rating("p", "y", 5),
        Rating("p", "z", 2),
        Rating("p", "z", 2, 10),
        Rating("q", "u", 1),
    ]
    found = implied_pairs([Answer(str(n), "ada", "human", one) for n, one in enumerate(said)])
    by_kind: dict[str, list[tuple[str, str]]] = {}
    for pair in found:
        by_kind.setdefault(pair.kind, []).append((pair.better, pair.worse))
    assert by_kind == {
        "comparison": [("y", "x")],
        "ranking": [("x", "y"), ("x", "z"), ("x", "w"), ("y", "w"), ("z", "w")],
        "edit": [(revision(edited, "ada").id, "x")],
        "rating": [("y", "x"), ("y", "z")],
    }


def test_grades_of_two_annotators_imply_nothing():
    answers = [Answer("1", "ada", "human", Rating("p", "x", 1)), Answer("2", "bob", "human", Rating("p", "y", 5))]
    assert implied_pairs(answers) == []
