import pytest
import torch
from plain_reading import (
    assert_invariance,
    assert_parts_make_the_whole,
    close,
    flat,
    loss_of,
    mean,
    plain_gradient,
    plain_rewards,
    random_outputs,
    random_rollout,
    rows,
)

from harken.algorithms.a2c import A2C

SETTINGS = A2C(entropy_coefficient=0.05, gamma=0.9)


@pytest.mark.parametrize("seed", range(3))
def test_returns_run_to_the_end_and_the_loss_is_the_papers(seed):
    rollout = random_rollout(seed)
    mask, outputs = rollout.mask, random_outputs(seed, rollout.mask)
    returns = [
        [sum(0.9**k * r for k, r in enumerate(row[t:])) for t in range(len(row))]
        for row in plain_rewards(rollout, rollout.scores.tolist(), shaped=True)
    ]
    old = rows(rollout.values, mask)

    def plain(new, values, entropy):
        cells = [(n, t) for n, row in enumerate(returns) for t in range(len(row))]
        policy = mean([-(returns[n][t] - old[n][t]) * new[n][t] for n, t in cells])
        critic = mean([(returns[n][t] - values[n][t]) ** 2 / 2 for n, t in cells])
        return policy + 0.5 * critic - 0.05 * mean(flat(entropy))

    value, slopes = loss_of(SETTINGS, rollout, outputs)
    p, v, h = (rows(x.detach(), mask) for x in (outputs.logprobs, outputs.values, outputs.entropy))
    assert close(value.detach(), plain(p, v, h))
    assert torch.allclose(
        slopes["logprobs"], plain_gradient(lambda x: plain(x, v, h), outputs.logprobs, mask), atol=1e-7
    )
    assert torch.allclose(slopes["values"], plain_gradient(lambda x: plain(p, x, h), outputs.values, mask), atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_order_and_padding_do_not_matter(seed):
    assert_invariance(SETTINGS, seed)


def test_parts_make_the_whole():
    assert_parts_make_the_whole(SETTINGS, 0)
