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
    found = Matching().loss({"matched": matched, "mismatched": mismatched}, None)
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
    assert Matching().loss({"matched": matched}, None).rows == 0
