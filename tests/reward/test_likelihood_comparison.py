import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.reward.likelihoods.comparison import log_likelihood

SCORE = st.floats(-20, 20)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def plain(a: float, b: float, tie: float, floor: float) -> list[float]:
    """The four probabilities, by the formulas of Davidson and of the docstring."""
    both = sigmoid(floor - a) * sigmoid(floor - b)
    weights = [math.exp(a), math.exp(b), math.exp(tie) * math.sqrt(math.exp(a) * math.exp(b))]
    return [(1 - both) * w / sum(weights) for w in weights] + [both]


def every_choice(a: float, b: float, tie: float, floor: float, dtype=torch.float64) -> torch.Tensor:
    scores = torch.tensor([[a], [b]], dtype=dtype)
    first, second = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    return log_likelihood(
        scores, first, second, torch.arange(4), torch.tensor(tie, dtype=dtype), torch.tensor(floor, dtype=dtype)
    )[:, 0]


@given(a=SCORE, b=SCORE, tie=st.floats(-5, 5), floor=SCORE)
@settings(max_examples=50, deadline=None)
def test_the_four_choices_are_one_distribution_and_the_formulas(a, b, tie, floor):
    found = every_choice(a, b, tie, floor).exp()
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-12)
    assert found.tolist() == pytest.approx(plain(a, b, tie, floor), rel=1e-6, abs=1e-12)


@given(a=SCORE, b=SCORE, tie=st.floats(-5, 5), floor=SCORE)
@settings(max_examples=30, deadline=None)
def test_the_sides_do_not_matter(a, b, tie, floor):
    one, other = every_choice(a, b, tie, floor), every_choice(b, a, tie, floor)
    assert torch.allclose(one, other[[1, 0, 2, 3]], rtol=1e-12, atol=1e-12)


@given(a=SCORE, b=SCORE, shift=st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
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
    parameters = [torch.tensor(x, dtype=dtype, requires_grad=True) for x in (-1.0, -3.0)]
    found = log_likelihood(scores, first, first + 1, torch.arange(4).repeat(len(pairs)), *parameters)
    assert torch.isfinite(found).all()
    for slope in torch.autograd.grad(found.sum(), [scores, *parameters]):
        assert torch.isfinite(slope).all()


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    a, b, choice = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([1, 2, 3, 4, 0]), torch.tensor([0, 1, 2, 3, 0])
    tie, floor = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (-1.0, -0.5))
    assert torch.autograd.gradcheck(lambda s, t, f: log_likelihood(s, a, b, choice, t, f), (scores, tie, floor))


def test_members_are_apart_and_no_statements_are_fine():
    scores = torch.randn(3, 4)
    one, zero = torch.tensor([1]), torch.tensor([0])
    parameters = (torch.tensor(-1.0), torch.tensor(-2.0))
    together = log_likelihood(scores, zero, one, zero, *parameters)
    apart = [log_likelihood(scores[:, k : k + 1], zero, one, zero, *parameters) for k in range(4)]
    assert torch.equal(together, torch.cat(apart, 1))
    none = torch.zeros(0, dtype=torch.long)
    assert log_likelihood(scores, none, none, none, *parameters).shape == (0, 4)
