"""Half squared errors against a plain reading; what has no target does not count."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.algorithms.regression import Regression


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 3), st.floats(0.1, 10))
def test_the_plain_reading(seed, rows, outputs, spread):
    chance = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, outputs, generator=chance, dtype=torch.float64)
    goals = torch.randn(rows, outputs, generator=chance, dtype=torch.float64)
    plain = sum(
        (v - g) ** 2 / (2 * spread**2) for v, g in zip(values.flatten().tolist(), goals.flatten().tolist(), strict=True)
    )
    found = Regression(spread).loss({"values": values}, goals)
    assert float(found.total) == pytest.approx(plain, rel=1e-9)
    assert found.metrics["absolute_error"] == pytest.approx(float((values - goals).abs().mean()))


def test_what_is_not_finite_has_no_target():
    values = torch.tensor([[1.0], [5.0], [2.0]], requires_grad=True)
    found = Regression().loss({"values": values}, torch.tensor([0.0, torch.nan, 2.5]))
    assert float(found.total) == pytest.approx(0.5 * (1 + 0.25))
    assert found.rows == 2
    assert torch.autograd.grad(found.total, values)[0][:, 0].tolist() == [1.0, 0.0, -0.5]


def test_another_number_of_values_is_refused():
    with pytest.raises(ValueError, match="2 numbers a row, and the head gives 1"):
        Regression().loss({"values": torch.zeros(1, 1)}, torch.zeros(1, 2))
