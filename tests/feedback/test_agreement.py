import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.agreement import (
    Table,
    agreement_rate,
    alpha,
    comparisons,
    krippendorff_alpha,
    pairwise,
    ratings,
)
from harken.types import Answer, Comparison, Rating

# K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), its examples A, B, and C with D.
MEG_AND_OWEN = ["0100000010", "1110010000"]
BEN_AND_GERRY = ["aabbdcccedda", "babbbccceddd"]
FOUR = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def table(rows: list[str]) -> np.ndarray:
    return np.array([[math.nan if c == "." else float(ord(c)) for c in row] for row in rows])


@pytest.mark.parametrize(
    ("rows", "metric", "published"),
    [
        (MEG_AND_OWEN, "nominal", 0.095),
        (BEN_AND_GERRY, "nominal", 0.692),
        (FOUR, "nominal", 0.743),
        (FOUR, "ordinal", 0.815),
    ],
)
def test_alpha_is_as_published(rows, metric, published):
    assert round(krippendorff_alpha(table(rows), metric), 3) == published


def plain_alpha(rows: list[list[float]], metric: str) -> float:
    """1 - Do / De, pair by pair, as the paper's words have it."""
    units = [[v for v in unit if not math.isnan(v)] for unit in zip(*rows, strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    every = [v for unit in units for v in unit]

    def difference(c: float, k: float) -> float:
        if metric == "nominal":
            return float(c != k)
        low, high = min(c, k), max(c, k)
        between = sum(1.0 for v in every if low <= v <= high)
        return (between - (every.count(c) + every.count(k)) / 2) ** 2

    observed = sum(difference(a, b) / (len(unit) - 1) for unit in units for a, b in permutations(unit, 2)) / len(every)
    expected = sum(difference(a, b) for a, b in permutations(every, 2)) / (len(every) * (len(every) - 1))
    return 1 - observed / expected


said = st.integers(2, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.sampled_from([1.0, 2.0, 3.0, 5.0, math.nan]), min_size=width, max_size=width),
        min_size=2,
        max_size=7,
    )
)


@settings(max_examples=150, deadline=None)
@given(units=said, metric=st.sampled_from(["nominal", "ordinal"]))
def test_alpha_is_its_plain_reading(units, metric):
    rows = [list(row) for row in zip(*units, strict=True)]
    found = krippendorff_alpha(np.array(rows), metric)
    shared = [v for unit in units for v in unit if not math.isnan(v) and sum(not math.isnan(w) for w in unit) > 1]
    if len(set(shared)) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(plain_alpha(rows, metric), abs=1e-12)
        assert krippendorff_alpha(np.array(rows)[::-1, ::-1], metric) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("metric", ["nominal", "ordinal"])
def test_full_agreement_is_one_and_nothing_said_is_not_a_number(metric):
    assert krippendorff_alpha(np.array([[1.0, 2, 3], [1, 2, 3]]), metric) == 1
    assert math.isnan(krippendorff_alpha(np.full((2, 3), math.nan), metric))
    assert math.isnan(krippendorff_alpha(np.zeros((0, 0)), metric))


def compared(annotator: str, a: str, b: str, choice: str, prompt: str = "p") -> Answer:
    return Answer(f"{annotator}{prompt}{a}{b}{choice}", annotator, "human", Comparison(prompt, a, b, choice))


def test_swapped_sides_are_the_same_choice():
    answers = [
        compared("ada", "x", "y", "a"),
        compared("bob", "y", "x", "b"),
        compared("ada", "x", "z", "tie"),
        compared("bob", "z", "x", "tie"),
        compared("ada", "y", "z", "both_bad"),
        compared("bob", "y", "z", "a"),
        compared("cyd", "z", "y", "a"),
        Answer("r", "bob", "human", Rating("p", "x", 3)),
    ]
    found = comparisons(answers)
    assert found.annotators == ("ada", "bob", "cyd")
    assert found.items == (("p", "x", "y"), ("p", "x", "z"), ("p", "y", "z"))
    shared = {(p.first, p.second): (p.agreed, p.shared) for p in pairwise(found)}
    assert shared == {("ada", "bob"): (2, 3), ("ada", "cyd"): (0, 1), ("bob", "cyd"): (0, 1)}
    assert agreement_rate(found) == 2 / 5
    assert alpha(found) == pytest.approx(plain_alpha(found.said.tolist(), "nominal"))


def test_of_repeats_the_last_one_counts():
    answers = [compared("ada", "x", "y", "a"), compared("ada", "y", "x", "a"), compared("bob", "x", "y", "b")]
    assert agreement_rate(comparisons(answers)) == 1


def test_ratings_of_one_criterion_and_one_scale():
    answers = [
        Answer(f"{who}{name}", who, "human", Rating("p", name, score))
        for who, scores in {"ada": (1, 3, 5), "bob": (2, 3, 5)}.items()
        for name, score in zip("xyz", scores, strict=True)
    ]
    answers.append(Answer("tone", "ada", "human", Rating("p", "x", 2, 3, "tone")))
    found = ratings(answers)
    assert found.said.tolist() == [[1, 3, 5], [2, 3, 5]]
    assert found.metric == "ordinal"
    assert agreement_rate(found) == 2 / 3
    assert alpha(found) == pytest.approx(plain_alpha(found.said.tolist(), "ordinal"))
    assert ratings(answers, "tone").items == (("p", "x"),)
    with pytest.raises(ValueError, match=r"scales of \[5, 10\] levels"):
        ratings([*answers, Answer("k", "ada", "human", Rating("p", "w", 2, 10))])


def test_nothing_shared_is_not_a_number():
    found = Table(("ada", "bob"), ("x", "y"), np.array([[1.0, math.nan], [math.nan, 1.0]]), "nominal")
    assert math.isnan(agreement_rate(found))
    assert math.isnan(pairwise(found)[0].rate)
    assert math.isnan(alpha(found))
