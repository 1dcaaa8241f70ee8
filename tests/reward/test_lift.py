import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.reward.lift import LINEAR_SHARE, Lift, kernel
from harken.reward.linear import LinearConfig, fit_lines
from harken.reward.wording import Wording


def rows(seed: int, count: int = 30, width: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64) * 5 + 2


@given(st.integers(0, 99))
@settings(max_examples=20)
def test_the_kernel_by_its_formula(seed):
    one, other = rows(seed, 3), rows(seed + 1, 2)
    for i in range(3):
        for j in range(2):
            x, y = one[i].tolist(), other[j].tolist()
            apart = sum((a - b) ** 2 for a, b in zip(x, y, strict=True))
            along = sum(a * b for a, b in zip(x, y, strict=True))
            plain = math.exp(-apart / 8) + LINEAR_SHARE * along / 4
            assert kernel(one, other)[i, j].item() == pytest.approx(plain, abs=1e-9)


def test_with_a_landmark_at_every_row_inner_products_are_the_kernel():
    x = rows(0)
    lift = Lift.of(x, 100)
    lifted = lift(x)
    standard = ((x - x.mean(0)) / x.std(0, correction=0)).clamp(-3, 3)
    assert torch.allclose(lifted @ lifted.T, kernel(standard, standard), atol=1e-6)


def test_fewer_landmarks_are_fewer_coordinates_and_nearly_the_same():
    x = rows(0, 300, 2)
    few, all_of_them = Lift.of(x, 80), Lift.of(x, 300)
    assert few(x).shape[1] <= 80
    one, other = few(x) @ few(x).T, all_of_them(x) @ all_of_them(x).T
    assert (one - other).abs().max() < 0.05


def test_units_of_features_do_not_matter_and_a_constant_one_is_no_harm():
    x = rows(0)
    moved = x * torch.tensor([1e3, 1e-3, 1.0, 1.0]) + 5
    one, other = Lift.of(x, 50)(x), Lift.of(moved, 50)(moved)
    assert torch.allclose(one @ one.T, other @ other.T, atol=1e-6)
    constant = torch.cat([x, torch.ones(len(x), 1)], 1)
    assert torch.isfinite(Lift.of(constant, 50)(constant)).all()


@pytest.mark.slow
def test_curves_find_what_lines_cannot():
    """The best is in the middle: no straight line says so."""
    x = rows(0, 300, 2)
    standard = (x - x.mean(0)) / x.std(0)
    gold = 2 - 2 * standard[:, 0].square()
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(300, (3000,), generator=generator)
    b = (a + 1 + torch.randint(299, (3000,), generator=generator)) % 300
    won = torch.rand(3000, generator=generator, dtype=torch.float64) < torch.sigmoid(gold[a] - gold[b])
    said = {
        "comparison.a": a,
        "comparison.b": b,
        "comparison.choice": (~won).long(),
        "comparison.annotator": torch.zeros_like(a),
        "comparison.weight": torch.ones(3000, 1, dtype=torch.float64),
    }
    for landmarks, least, most in ((0, -0.3, 0.3), (100, 0.95, 1.0)):
        config = LinearConfig(landmarks=landmarks)
        lines = fit_lines(x, said, Wording(["ada"]), config, list(range(300)), {})
        found = float(torch.corrcoef(torch.stack([lines(x)[:, 0], gold]))[0, 1])
        assert least < found <= most
