import math

import pytest
import torch
from plain_reading import close, flat, mean, plain_gradient, random_outputs, random_rollout, rows

from harken.algorithms.surrogate import (
    clipped_surrogate,
    completion_mean,
    masked_mean,
    policy_gradient,
    tokens_in,
    value_loss,
    whiten,
)


def plain_surrogate(new, old, advantages, clip, high=None):
    """1707.06347, eq. 7, of each token of each completion."""
    out = []
    for p, q, row in zip(new, old, advantages, strict=True):
        out.append([])
        for a, b, advantage in zip(p, q, row, strict=True):
            ratio = math.exp(a - b)
            out[-1].append(-min(ratio * advantage, min(max(ratio, 1 - clip), 1 + (high or clip)) * advantage))
    return out


@pytest.mark.parametrize("high", [None, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_clipped_surrogate_and_its_gradient(seed, high):
    rollout = random_rollout(seed)
    mask, old, advantages = rollout.mask, rollout.logprobs, rollout.values
    new = random_outputs(seed, mask).logprobs
    found, metrics = clipped_surrogate(new, old, advantages, mask, 0.2, high)
    given = (rows(old, mask), rows(advantages, mask), 0.2, high)
    for n, plain in enumerate(plain_surrogate(rows(new.detach(), mask), *given)):
        assert close(found[n, mask[n]].detach(), plain)
    (slope,) = torch.autograd.grad(masked_mean(found, mask), new)
    expected = plain_gradient(lambda p: mean(flat(plain_surrogate(p, *given))), new, mask)
    assert torch.allclose(slope, expected, atol=1e-7)
    ratios = [
        math.exp(a - b)
        for p, q in zip(rows(new.detach(), mask), rows(old, mask), strict=True)
        for a, b in zip(p, q, strict=True)
    ]
    assert metrics["clip_fraction"] == pytest.approx(mean([float(not 0.8 <= r <= 1 + (high or 0.2)) for r in ratios]))
    assert metrics["approx_kl"] == pytest.approx(mean([r - 1 - math.log(r) for r in ratios]))


def test_before_a_step_the_surrogates_gradient_is_the_policy_gradient():
    rollout = random_rollout(0)
    mask = rollout.mask
    new = rollout.logprobs.clone().requires_grad_()
    tokens, metrics = clipped_surrogate(new, rollout.logprobs, rollout.values, mask, 0.2)
    (one,) = torch.autograd.grad(tokens.sum() / len(mask), new)
    (other,) = torch.autograd.grad(policy_gradient(new, rollout.values, mask), new)
    assert close(one, other)
    assert metrics == {"clip_fraction": 0.0, "approx_kl": 0.0}


@pytest.mark.parametrize("clip", [0.2, None])
def test_value_loss_and_its_gradient(clip):
    rollout = random_rollout(1)
    mask, old, returns = rollout.mask, rollout.values, rollout.reference_logprobs
    values = random_outputs(1, mask).values

    def plain(new):
        out = []
        for v, o, r in zip(new, rows(old, mask), rows(returns, mask), strict=True):
            for a, b, c in zip(v, o, r, strict=True):
                near = a if clip is None else b + min(max(a - b, -clip), clip)
                out.append(max((a - c) ** 2, (near - c) ** 2))
        return mean(out) / 2

    found = value_loss(values, old, returns, mask, clip)
    assert close(found.detach(), plain(rows(values.detach(), mask)))
    (slope,) = torch.autograd.grad(found, values)
    assert torch.allclose(slope, plain_gradient(plain, values, mask), atol=1e-7)


def test_means_of_ragged_rows():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    values = torch.tensor([[1.0, 2.0, 3.0], [10.0, math.nan, math.inf]])
    assert float(masked_mean(values, mask)) == 4.0
    assert float(completion_mean(values, mask)) == 6.0
    assert float(masked_mean(values, torch.zeros_like(mask))) == 0.0
    assert float(completion_mean(values, mask & torch.tensor([[True], [False]]))) == 2.0
    assert float(completion_mean(values, torch.zeros_like(mask))) == 0.0
    assert tokens_in(mask) == 4.0


def test_whitened_values_have_mean_0_and_variance_1():
    rollout = random_rollout(2)
    white = whiten(torch.where(rollout.mask, 5 + 3 * rollout.values, math.nan), rollout.mask)
    tokens = white[rollout.mask]
    assert abs(float(tokens.mean())) < 1e-9
    assert float(tokens.var(unbiased=False)) == pytest.approx(1.0, abs=1e-6)
    assert (white[~rollout.mask] == 0).all()
    assert whiten(torch.full((2, 2), 3.0), torch.ones(2, 2, dtype=torch.bool)).abs().max() < 1e-3
