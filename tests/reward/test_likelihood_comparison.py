import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.reward.likelihoods.comparison import log_likelihood

SCORE = st.floats(-20, 20)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def plain(a: float, b: float, tie: float, floor: float, side: float) -> list[float]:
    """The four probabilities, by the formulas of Davidson and of the docstring."""
    both = sigmoid(floor - a) * sigmoid(floor - b)
    # An order effect multiplies the worth of what is shown first (Davidson and Beaver 1977, eq. 2.2).
    a, b = a + side / 2, b - side / 2
    weights = [math.exp(a), math.exp(b), math.exp(tie) * math.sqrt(math.exp(a) * math.exp(b))]
    return [(1 - both) * w / sum(weights) for w in weights] + [both]


def every_choice(a: float, b: float, tie: float, floor: float, side: float = 0.0) -> torch.Tensor:
    first, second, floors, sides = torch.tensor([[a], [b], [floor], [side]], dtype=torch.float64).expand(4, 4)
    nu = torch.tensor(tie, dtype=torch.float64)
    return log_likelihood(first[:, None], second[:, None], torch.arange(4), nu, floors, sides)[:, 0]


@given(a=SCORE, b=SCORE, tie=st.floats(-5, 5), floor=SCORE, side=st.floats(-5, 5))
@settings(max_examples=50)
def test_the_four_choices_are_one_distribution_and_the_formulas(a, b, tie, floor, side):
    found = every_choice(a, b, tie, floor, side).exp()
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-12)
    assert found.tolist() == pytest.approx(plain(a, b, tie, floor, side), rel=1e-6, abs=1e-12)


@given(a=SCORE, b=SCORE, tie=st.floats(-5, 5), floor=SCORE, side=st.floats(-5, 5))
@settings(max_examples=30)
def test_the_sides_do_not_matter_to_who_does_not_lean(a, b, tie, floor, side):
    one, other = every_choice(a, b, tie, floor, side), every_choice(b, a, tie, floor, -side)
    assert torch.allclose(one, other[[1, 0, 2, 3]], rtol=1e-12, atol=1e-12)


@given(a=SCORE, b=SCORE, shift=st.floats(-50, 50))
@settings(max_examples=30)
def test_without_a_floor_only_the_difference_counts(a, b, shift):
    one = every_choice(a, b, -0.5, -math.inf)
    assert one[3] == -math.inf
    assert float(one[:3].exp().sum()) == pytest.approx(1.0)
    assert torch.allclose(one[:3], every_choice(a + shift, b + shift, -0.5, -math.inf)[:3], atol=1e-9)


def test_without_ties_and_floor_it_is_bradley_terry():
    found = every_choice(1.3, -0.4, -math.inf, -math.inf)
    assert float(found[0].exp()) == pytest.approx(sigmoid(1.7))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_scores_are_finite_with_finite_slopes(dtype):
    pairs = [(x, y) for x in (-1e4, 0.0, 1e4) for y in (-1e4, 0.0, 1e4)]
    scores = torch.tensor(pairs, dtype=dtype).reshape(-1, 1).requires_grad_()
    first = torch.arange(0, len(scores), 2).repeat_interleave(4)
    choice = torch.arange(4).repeat(len(pairs))
    tie = torch.tensor(-1.0, dtype=dtype, requires_grad=True)
    each = torch.tensor([[-3.0], [0.5]], dtype=dtype).repeat(1, len(first)).requires_grad_()
    parameters = [tie, each]
    found = log_likelihood(scores[first], scores[first + 1], choice, tie, each[0], each[1])
    assert torch.isfinite(found).all()
    for slope in torch.autograd.grad(found.sum(), [scores, *parameters]):
        assert torch.isfinite(slope).all()


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    a, b, choice = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([1, 2, 3, 4, 0]), torch.tensor([0, 1, 2, 3, 0])
    tie = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    floor, side = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    given = (scores, tie, floor.requires_grad_(), side.requires_grad_())
    assert torch.autograd.gradcheck(lambda s, t, f, o: log_likelihood(s[a], s[b], choice, t, f, o), given)


def test_members_are_apart_and_no_statements_are_fine():
    first, second = torch.randn(2, 1, 4)
    tie, floor, side = torch.tensor(-1.0), torch.tensor([-2.0]), torch.tensor([0.1])
    zero = torch.tensor([0])
    together = log_likelihood(first, second, zero, tie, floor, side)
    apart = [log_likelihood(first[:, [k]], second[:, [k]], zero, tie, floor, side) for k in range(4)]
    assert torch.equal(together, torch.cat(apart, 1))
    assert log_likelihood(first[:0], second[:0], zero[:0], tie, floor[:0], side[:0]).shape == (0, 4)
