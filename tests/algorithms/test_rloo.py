from dataclasses import replace

import pytest
import torch
from plain_reading import (
    assert_invariance,
    assert_parts_make_the_whole,
    close,
    loss_of,
    mean,
    plain_gradient,
    plain_rewards,
    random_outputs,
    random_rollout,
    rows,
)

from harken.algorithms.rloo import RLOO


@pytest.mark.parametrize("seed", range(3))
def test_the_baseline_is_the_mean_of_the_others(seed):
    rollout = random_rollout(seed, n=8)
    mask, outputs = rollout.mask, random_outputs(seed, rollout.mask)
    returns, prompt = [sum(row) for row in plain_rewards(rollout, rollout.scores.tolist())], rollout.prompt.tolist()
    advantages = []
    for n, one in enumerate(returns):
        others = [returns[m] for m in range(len(returns)) if m != n and prompt[m] == prompt[n]]
        advantages.append(one - mean(others) if others else 0.0)

    def plain(new):
        return -mean([a * sum(row) for a, row in zip(advantages, new, strict=True)])

    value, slopes = loss_of(RLOO(), rollout, outputs)
    assert close(value.detach(), plain(rows(outputs.logprobs.detach(), mask)))
    assert torch.allclose(slopes["logprobs"], plain_gradient(plain, outputs.logprobs, mask), atol=1e-7)


def test_one_number_for_all_that_a_prompt_got_changes_nothing():
    rollout = random_rollout(0, n=8)
    shifted = replace(rollout, scores=rollout.scores + 10.0 * rollout.prompt)
    alone = torch.bincount(rollout.prompt)[rollout.prompt] == 1
    one, other = (RLOO().advantages(r)["advantages"] for r in (rollout, shifted))
    assert close(one, other)
    assert (one[alone] == 0).all()


def test_order_and_padding_do_not_matter():
    assert_invariance(RLOO(), 1)


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        RLOO(group=1)


def test_parts_make_the_whole():
    assert_parts_make_the_whole(RLOO(), 0)
