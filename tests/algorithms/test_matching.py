"""Matching against a plain reading, with targets and with swapped media."""

import math

import pytest
import torch

from harken.algorithms.matching import Matching


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_plain_reading():
    matched, mismatched = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([0.1, 0.7, -3.0])
    plain = -sum(math.log(sigmoid(x)) for x in matched.tolist()) / 2
    plain -= sum(math.log(1 - sigmoid(x)) for x in mismatched.tolist()) / 2
    outputs = {"matched": matched, "mismatched": mismatched, "there": torch.ones(3, dtype=torch.bool)}
    found = Matching().loss(outputs, None)
    assert float(found.total) == pytest.approx(plain, rel=1e-5)
    assert found.rows == 3
    assert found.metrics["accuracy"] == pytest.approx(3 / 6)


def test_targets_judge_rows_as_they_are():
    matched = torch.tensor([0.3, -1.2, 2.0])
    found = Matching().loss({"matched": matched}, torch.tensor([1, 0, -1]))
    plain = -math.log(sigmoid(0.3)) - math.log(1 - sigmoid(-1.2))
    assert float(found.total) == pytest.approx(plain, rel=1e-5)
    assert found.rows == 2
    assert found.metrics["accuracy"] == 1.0


def test_rows_that_cannot_be_asked_do_not_count():
    matched, mismatched = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([0.1, 0.7, -3.0])
    there = torch.tensor([True, False, True])
    some = Matching().loss({"matched": matched, "mismatched": mismatched, "there": there}, None)
    outputs = {"matched": matched[there], "mismatched": mismatched[there], "there": there[there]}
    assert float(some.total) == pytest.approx(float(Matching().loss(outputs, None).total), rel=1e-6)
    assert some.rows == 2
    none = Matching().loss({"matched": matched, "mismatched": mismatched, "there": there & False}, None)
    assert (none.rows, float(none.total), none.metrics) == (0, 0.0, {})
