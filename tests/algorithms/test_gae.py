import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_reading import close, plain_gae, random_rollout, rows

from harken.algorithms.gae import gae


@given(seed=st.integers(0, 10_000), gamma=st.floats(0, 1), lam=st.floats(0, 1))
@settings(max_examples=25)
def test_equation_16(seed, gamma, lam):
    rollout = random_rollout(seed)
    rewards, values, mask = rollout.logprobs, rollout.values, rollout.mask
    advantages, returns = gae(rewards, values, mask, gamma, lam)
    for n, (r, v) in enumerate(zip(rows(rewards, mask), rows(values, mask), strict=True)):
        plain = plain_gae(r, v, gamma, lam)
        assert close(advantages[n, mask[n]], plain)
        assert close(returns[n, mask[n]], [a + b for a, b in zip(plain, v, strict=True)])
    assert (advantages[~mask] == 0).all()
    assert (returns[~mask] == 0).all()


def test_lambda_1_gives_the_rewards_to_come():
    rollout = random_rollout(0)
    _, returns = gae(rollout.logprobs, rollout.values, rollout.mask, 1.0, 1.0)
    for n, r in enumerate(rows(rollout.logprobs, rollout.mask)):
        assert close(returns[n, 0], sum(r))


@pytest.mark.parametrize("rubbish", [math.nan, math.inf, 7.0])
def test_padding_is_not_read(rubbish):
    rollout = random_rollout(3)
    mask = rollout.mask
    clean = gae(rollout.logprobs, rollout.values, mask, 0.9, 0.8)
    dirty = gae(
        torch.where(mask, rollout.logprobs, rubbish), torch.where(mask, rollout.values, rubbish), mask, 0.9, 0.8
    )
    assert all(torch.equal(a, b) for a, b in zip(clean, dirty, strict=True))
