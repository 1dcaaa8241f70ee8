"""InfoNCE and SigLIP against the papers' own loops, in double precision."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.algorithms.contrastive import Contrastive, info_nce, siglip


def nce_plainly(logits: list[list[float]]) -> float:
    n = len(logits)
    total = 0.0
    for i in range(n):
        row = sum(math.exp(logits[i][j]) for j in range(n))
        column = sum(math.exp(logits[j][i]) for j in range(n))
        total -= (math.log(math.exp(logits[i][i]) / row) + math.log(math.exp(logits[i][i]) / column)) / 2
    return total


def siglip_plainly(logits: list[list[float]]) -> float:
    n = len(logits)
    total = 0.0
    for i in range(n):
        for j in range(n):
            z = 1 if i == j else -1
            total -= math.log(1 / (1 + math.exp(-z * logits[i][j])))
    return total


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_the_plain_reading(seed, pairs):
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(pairs, pairs, generator=chance, dtype=torch.float64) * 3
    assert float(info_nce(logits)) == pytest.approx(nce_plainly(logits.tolist()), rel=1e-9)
    assert float(siglip(logits)) == pytest.approx(siglip_plainly(logits.tolist()), rel=1e-9)


@pytest.mark.parametrize("kind", ["infonce", "siglip"])
def test_only_rows_with_both_modalities_count(kind):
    points = torch.nn.functional.normalize(torch.randn(2, 5, 4), dim=-1)
    there = torch.tensor([True, True, False, True, True])
    shared = {"scale": torch.tensor(5.0), "bias": torch.tensor(-1.0)}
    found = Contrastive(kind).loss({"one": points[0], "other": points[1], "there": there, **shared}, None)
    kept = {"one": points[0][there], "other": points[1][there], "there": there[there]}
    alone = Contrastive(kind).loss({**kept, **shared}, None)
    torch.testing.assert_close(found.total, alone.total)
    assert found.rows == 4
    lonely = {**kept, **shared, "there": torch.tensor([True, False, False, False])}
    assert Contrastive(kind).loss(lonely, None).rows == 0


def test_pairs_that_are_near_lose_least():
    points = torch.eye(4)
    shared = {"there": torch.ones(4).bool(), "scale": torch.tensor(9.0), "bias": torch.zeros(())}
    near = Contrastive().loss({"one": points, "other": points, **shared}, None)
    assert near.metrics["recall"] == 1.0
    assert float(near.total) < 0.01
