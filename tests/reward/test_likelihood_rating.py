import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.reward.likelihoods.rating import log_likelihood


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def every_grade(score, thresholds, severity=0.0, log_scale=0.0, dtype=torch.float64):
    levels = len(thresholds) + 1
    return log_likelihood(
        torch.full((levels, 1), score, dtype=dtype),
        torch.arange(levels),
        torch.tensor(thresholds, dtype=dtype),
        torch.full((levels,), severity, dtype=dtype),
        torch.full((levels,), log_scale, dtype=dtype),
    )[:, 0]


@given(
    score=st.floats(-8, 8),
    first=st.floats(-3, 3),
    gaps=st.lists(st.floats(0.01, 3), max_size=5),
    severity=st.floats(-2, 2),
    log_scale=st.floats(-1, 1),
)
@settings(max_examples=50)
def test_grades_are_one_distribution_and_the_cumulative_link(score, first, gaps, severity, log_scale):
    thresholds = [first + sum(gaps[:j]) for j in range(len(gaps) + 1)]
    found = every_grade(score, thresholds, severity, log_scale).exp()
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-9)
    at_most = [sigmoid(math.exp(log_scale) * (t + severity - score)) for t in thresholds] + [1.0]
    plain = [high - low for low, high in zip([0.0, *at_most], at_most, strict=False)]
    assert found.tolist() == pytest.approx(plain, rel=1e-6, abs=1e-12)


@given(score=st.floats(-5, 5), shift=st.floats(-5, 5))
@settings(max_examples=25)
def test_a_severe_annotator_is_a_lower_score(score, shift):
    thresholds = [-1.0, 0.2, 1.5]
    assert torch.allclose(every_grade(score, thresholds, shift), every_grade(score - shift, thresholds), atol=1e-9)


def test_a_better_score_gets_a_better_grade_and_a_severe_annotator_a_worse_one():
    def expected(**given):
        return float((every_grade(thresholds=[-1.0, 0.0, 1.0], **given).exp() * torch.arange(4)).sum())

    assert expected(score=1.0) > expected(score=0.0) > expected(score=0.0, severity=0.5)
    assert expected(score=2.0, log_scale=1.0) > expected(score=2.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("thresholds", [[0.5], [-1.5, -0.5, 0.4, 1.4]])
def test_extreme_scores_are_finite_with_finite_slopes(dtype, thresholds):
    scores = torch.tensor([[-1e4], [0.0], [1e4]], dtype=dtype, requires_grad=True)
    levels = len(thresholds) + 1
    item, grade = torch.arange(3).repeat_interleave(levels), torch.arange(levels).repeat(3)
    every = [[0.3] * len(item), [0.2] * len(item)]
    given = [torch.tensor(x, dtype=dtype, requires_grad=True) for x in (thresholds, *every)]
    found = log_likelihood(scores[item], grade, *given)
    assert torch.isfinite(found).all()
    for slope in torch.autograd.grad(found.sum(), [scores, *given]):
        assert torch.isfinite(slope).all()


def test_gradients():
    generator = torch.Generator().manual_seed(0)

    def leaf(*values: float) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, requires_grad=True)

    scores = torch.randn(4, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    item, grade, annotator = torch.tensor([0, 1, 2, 3, 0]), torch.tensor([0, 1, 2, 3, 3]), torch.tensor([0, 1, 1, 0, 2])
    given = (scores, leaf(-1.0, 0.0, 0.7), leaf(0.1, -0.4, 0.2), leaf(0.0, 0.3, -0.5))
    assert torch.autograd.gradcheck(
        lambda s, t, v, c: log_likelihood(s[item], grade, t, v[annotator], c[annotator]), given
    )


def test_thresholds_must_increase():
    with pytest.raises(ValueError, match="must increase"):
        every_grade(0.0, [1.0, 1.0])
