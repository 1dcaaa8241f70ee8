"""Cross-entropy against a plain reading, with whole, smoothed, soft and missing targets."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.algorithms.cross_entropy import CrossEntropy, soft_targets


def plainly(logits: list[list[float]], goals: list[list[float]]) -> float:
    """-sum q log p, row by row."""
    total = 0.0
    for row, goal in zip(logits, goals, strict=True):
        whole = sum(math.exp(x) for x in row)
        total -= sum(q * math.log(math.exp(x) / whole) for x, q in zip(row, goal, strict=True))
    return total


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 5), st.floats(0, 0.9))
def test_the_plain_reading(seed, rows, classes, smoothing):
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=chance) * 3
    whole = torch.randint(classes, (rows,), generator=chance)
    goals = [[(1 - smoothing) * (c == t) + smoothing / classes for c in range(classes)] for t in whole.tolist()]
    found = CrossEntropy(smoothing).loss({"logits": logits}, whole)
    assert found.rows == rows
    assert float(found.total) == pytest.approx(plainly(logits.tolist(), goals), rel=1e-4, abs=1e-5)
    votes = torch.rand(rows, classes, generator=chance)
    votes = votes / votes.sum(1, keepdim=True)
    soft = CrossEntropy().loss({"logits": logits}, votes)
    assert float(soft.total) == pytest.approx(plainly(logits.tolist(), votes.tolist()), rel=1e-4, abs=1e-5)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 5), st.floats(0, 0.9))
def test_weights_of_classes_are_torchs(seed, rows, classes, smoothing):
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=chance, dtype=torch.double) * 3
    targets = torch.randint(classes, (rows,), generator=chance)
    weights = torch.rand(classes, generator=chance, dtype=torch.double) * 3
    found = CrossEntropy(smoothing, tuple(weights.tolist())).loss({"logits": logits}, targets).total
    peer = torch.nn.functional.cross_entropy(logits, targets, weights, reduction="sum", label_smoothing=smoothing)
    assert float(found) == pytest.approx(float(peer), rel=1e-5)


def test_rows_without_a_target_add_nothing_and_get_no_gradient():
    logits = torch.randn(3, 4, requires_grad=True)
    found = CrossEntropy().loss({"logits": logits}, torch.tensor([2, -1, 0]))
    alone = CrossEntropy().loss({"logits": logits[[0, 2]]}, torch.tensor([2, 0]))
    torch.testing.assert_close(found.total, alone.total)
    (gradient,) = torch.autograd.grad(found.total, logits)
    assert found.rows == 2
    assert not gradient[1].any()
    none = CrossEntropy().loss({"logits": logits}, None)
    assert none.rows == 0
    assert none.total.item() == 0
    assert not torch.autograd.grad(none.total, logits)[0].any()


def test_a_class_that_the_head_does_not_have_is_refused():
    with pytest.raises(ValueError, match="names class 7, and the head has 3"):
        soft_targets(torch.tensor([0, 7]), 3, 0.0)
    with pytest.raises(ValueError, match="over 2 classes, and the head has 3"):
        soft_targets(torch.ones(1, 2), 3, 0.0)
