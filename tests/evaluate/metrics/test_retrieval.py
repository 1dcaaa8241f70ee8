"""Recall against a plain reading, with ties, chance, and points that are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.evaluate.metrics.retrieval import recall_at


def plainly(k: int, queries: np.ndarray, items: np.ndarray) -> float:
    found = 0
    for i, query in enumerate(queries):
        own = sum(a * b for a, b in zip(query, items[i], strict=True))
        near = [sum(a * b for a, b in zip(query, item, strict=True)) for item in items]
        nearer = sum(value > own for value in near)
        ties = sum(value == own for value in near) - 1
        found += nearer + ties / 2 < k
    return found / len(queries)


@given(st.integers(2, 8), st.integers(1, 4), st.integers(1, 9), st.integers(0, 999))
def test_the_plain_reading(count, width, k, seed):
    """Small whole numbers, so that ties are many and exact."""
    rng = np.random.default_rng(seed)
    queries, items = (rng.integers(-2, 3, (count, width)).astype(np.float32) for _ in range(2))
    found = recall_at(k, queries, items)
    assert found.share.rate == plainly(k, queries, items)
    assert (found.k, found.share.count, found.chance) == (k, count, min(1.0, k / count))


def test_a_perfect_space_and_a_space_of_one_point():
    points = np.eye(6)
    assert recall_at(1, points, points).share.rate == 1
    alike = np.ones((7, 2))
    assert [recall_at(k, alike, alike).share.rate for k in (3, 4)] == [0.0, 1.0], "the own one stands in the middle"


def test_by_chance_it_is_k_of_n():
    rng = np.random.default_rng(0)
    found = recall_at(10, rng.standard_normal((2000, 16)), rng.standard_normal((2000, 16)))
    assert found.chance == 0.005
    assert found.share.low < found.chance < found.share.high


@pytest.mark.parametrize(
    ("k", "queries", "items", "words"),
    [
        (1, np.ones((1, 2)), np.ones((1, 2)), "two or more"),
        (0, np.ones((3, 2)), np.ones((3, 2)), "from 1 up"),
        (1, np.full((3, 2), np.nan), np.ones((3, 2)), "queries: some points"),
        (1, np.ones((3, 2)), np.full((3, 2), np.inf), "items: some points"),
    ],
)
def test_what_cannot_be_ranked_is_refused(k, queries, items, words):
    with pytest.raises(ValueError, match=words):
        recall_at(k, queries, items)
