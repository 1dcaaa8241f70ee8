"""Agreement as published, as plain readings have it, and as scikit-learn has it."""

import math
import warnings
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from said import BY_ID, compared
from sklearn.metrics import cohen_kappa_score

from harken.feedback.agreement import (
    agreement_rate,
    alpha,
    alpha_of,
    cohen_kappa,
    disputes,
    fleiss_kappa,
    mean_kappa,
    pairwise,
)
from harken.feedback.tables import Item, Said, Table, tables
from harken.types import Answer, Edit, Rating

# K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), its examples A, B, and C with D.
MEG_AND_OWEN = ["0100000010", "1110010000"]
BEN_AND_GERRY = ["aabbdcccedda", "babbbccceddd"]
FOUR = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
# J. L. Fleiss 1971, table 1 as it is commonly given: ten subjects, fourteen raters, five categories.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def table_of(rows: list[list[str]], kind: str = "rating", values: str = "12345") -> Table:
    """Rows of annotators, columns of items; a dot where nothing was said."""
    said = [
        Said(f"ann{a}", Item(("p",), (f"i{u}",)), values.index(value))
        for a, row in enumerate(rows)
        for u, value in enumerate(row)
        if value != "."
    ]
    return Table(kind, "overall", tuple(values), tuple(said), frozenset())


def crowd_of(counts: list[list[int]], kind: str = "comparison") -> Table:
    said = [
        Said("crowd", Item(("p",), (f"i{u}",)), v, n) for u, row in enumerate(counts) for v, n in enumerate(row) if n
    ]
    return Table(kind, "overall", tuple("12345"[: len(counts[0])]), tuple(said), frozenset(["crowd"]))


@pytest.mark.parametrize(
    ("rows", "metric", "published"),
    [
        (MEG_AND_OWEN, "nominal", 0.095),
        (BEN_AND_GERRY, "nominal", 0.692),
        (FOUR, "nominal", 0.743),
        (FOUR, "ordinal", 0.815),
        (FOUR, "interval", 0.849),
    ],
)
def test_alpha_is_as_published(rows, metric, published):
    values = "".join(sorted({value for row in rows for value in row} - {"."}))
    assert round(alpha(table_of([list(row) for row in rows], values=values), metric, 10).value, 3) == published


def test_fleiss_kappa_is_as_published_and_counts_a_crowd():
    assert round(fleiss_kappa(crowd_of(FLEISS)).value, 3) == 0.210


def units(rows: list[list[str]]) -> list[list[int]]:
    """What was said of each item that was spoken of twice."""
    said = [[int(value) for value in unit if value != "."] for unit in zip(*rows, strict=True)]
    return [unit for unit in said if len(unit) > 1]


def plain_alpha(rows: list[list[str]], metric: str) -> float:
    """1 - Do / De, pair by pair, as the paper's words have it."""
    every = [v for unit in units(rows) for v in unit]

    def difference(c: int, k: int) -> float:
        if metric == "nominal":
            return float(c != k)
        if metric == "interval":
            return float((c - k) ** 2)
        low, high = min(c, k), max(c, k)
        between = sum(1.0 for v in every if low <= v <= high)
        return (between - (every.count(c) + every.count(k)) / 2) ** 2

    of_units = [(unit, a, b) for unit in units(rows) for a, b in permutations(unit, 2)]
    observed = sum(difference(a, b) / (len(unit) - 1) for unit, a, b in of_units) / len(every)
    expected = sum(difference(a, b) for a, b in permutations(every, 2)) / (len(every) * (len(every) - 1))
    return 1 - observed / expected


def plain_fleiss(rows: list[list[str]]) -> float:
    """Shares of agreeing pairs, against those of two answers drawn from all."""
    said = units(rows)
    agreed = [sum(a == b for a, b in combinations(unit, 2)) / math.comb(len(unit), 2) for unit in said]
    shares = Counter(value for unit in said for value in unit)
    chance = sum((n / shares.total()) ** 2 for n in shares.values())
    return (sum(agreed) / len(agreed) - chance) / (1 - chance)


rows_of_grades = st.integers(2, 7).flatmap(
    lambda width: st.lists(st.lists(st.sampled_from("1235."), min_size=width, max_size=width), min_size=2, max_size=4)
)


@settings(max_examples=150)
@given(rows=rows_of_grades, metric=st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_and_fleiss_are_their_plain_readings(rows, metric):
    table = table_of(rows)
    found, kappa = alpha(table, metric, 20), fleiss_kappa(table, 20)
    values = {v for unit in units(rows) for v in unit}
    if len(values) < 2:
        assert math.isnan(found.value) and math.isnan(kappa.value)
        return
    assert found.value == pytest.approx(plain_alpha(rows, metric), abs=1e-12)
    assert kappa.value == pytest.approx(plain_fleiss(rows), abs=1e-12)
    # The one matrix product that resampling goes by says the same as the library.
    counts = table.shared_counts().astype(float)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(5)
    once = (pairs / (counts.sum(1) - 1)[:, None, None]).sum(0)[None]
    assert alpha_of(once, metric)[0] == pytest.approx(found.value, abs=1e-12)
    turned = table_of([row[::-1] for row in rows[::-1]])
    assert alpha(turned, metric, 20).value == pytest.approx(found.value, abs=1e-12)


@settings(max_examples=100)
@given(said=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30), graded=st.booleans())
def test_cohen_is_scikit_learns_and_its_plain_reading(said, graded):
    weights = np.array([[float((i - j) ** 2 if graded else i != j) for j in range(4)] for i in range(4)])
    confusion = np.zeros((4, 4))
    for one, other in said:
        confusion[one, other] += 1
    found = float(cohen_kappa(confusion, weights))
    apart = sum(weights[one, other] for one, other in said) / len(said)
    chance = sum(weights[one, other] for one, _ in said for _, other in said) / len(said) ** 2
    if chance == 0:
        assert math.isnan(found)
        return
    assert found == pytest.approx(1 - apart / chance, abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cohen_kappa_score(*zip(*said, strict=True), labels=range(4), weights="quadratic" if graded else None)
    assert found == pytest.approx(theirs, abs=1e-12)


def test_nothing_shared_is_not_a_number():
    found = table_of([["1", "."], [".", "2"]])
    assert math.isnan(agreement_rate(found).value)
    assert math.isnan(pairwise(found)[0].rate) and math.isnan(mean_kappa(pairwise(found)))
    assert math.isnan(alpha(found, "nominal").value)
    assert math.isnan(fleiss_kappa(found).value)
    assert all(math.isnan(one) for one in disputes(found))


def test_an_interval_holds_the_figure_and_narrows_with_more_items():
    rng = np.random.default_rng(0)
    wide, narrow = (
        alpha(table_of([[str(min(5, max(1, g + rng.integers(-1, 2)))) for g in grades] for _ in range(3)]), "ordinal")
        for grades in (rng.integers(1, 6, 20), rng.integers(1, 6, 500))
    )
    assert wide.low < wide.value < wide.high and narrow.low < narrow.value < narrow.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2


def test_disputed_items_are_those_whose_answers_lie_apart():
    rows = ["1155", "1255", "1555"]
    found = disputes(table_of([list(row) for row in rows]))
    apart = (1 / 16 + 1 + 9 / 16) / 3  # of 1, 2 and 5, two at a time, on a scale of five
    assert found.tolist() == pytest.approx([0, apart, 0, 0])


def test_swapped_sides_are_the_same_choice_and_of_repeats_the_last_one_counts():
    answers = [
        compared("ada", "p0", "p1", "b"),
        compared("ada", "p0", "p1", "a"),
        compared("bob", "p1", "p0", "b"),
        compared("ada", "p0", "p2", "tie"),
        compared("bob", "p2", "p0", "tie"),
        compared("ada", "p1", "p2", "both_bad"),
        compared("bob", "p1", "p2", "a"),
        compared("cyd", "p2", "p1", "a"),
    ]
    (found,) = tables(answers, BY_ID)
    shared = {(p.first, p.second): (p.agreed, p.shared) for p in pairwise(found)}
    assert shared == {("ada", "bob"): (2, 3), ("ada", "cyd"): (0, 1), ("bob", "cyd"): (0, 1)}
    assert agreement_rate(found).value == 2 / 5


def test_scales_and_criteria_are_tables_of_their_own_and_edits_are_none():
    answers = [
        Answer(f"{who}{levels}{on}", who, "human", Rating("p", "p0", 2, levels, on))
        for who in ("ada", "bob")
        for levels, on in ((5, "overall"), (10, "overall"), (5, "wit"))
    ]
    answers.append(Answer("e", "ada", "human", Edit("p", "p0", "else")))
    found = tables(answers, BY_ID)
    assert [(t.kind, t.criterion, len(t.values)) for t in found] == [
        ("rating", "overall", 5),
        ("rating", "overall", 10),
        ("rating", "wit", 5),
    ]
