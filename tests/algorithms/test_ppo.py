import math

import pytest
import torch
from plain_reading import (
    assert_invariance,
    batch_of,
    close,
    flat,
    loss_of,
    mean,
    plain_gae,
    plain_gradient,
    plain_rewards,
    random_outputs,
    random_rollout,
    rows,
)

from harken.algorithms.ppo import PPO

SETTINGS = PPO(entropy_coefficient=0.02, gamma=0.97, lam=0.9, value_coefficient=0.3, unfinished_score=-1.0)


def plain_labels(rollout):
    """Advantages (whitened) and returns of each token."""
    scores = [s if done else -1.0 for s, done in zip(rollout.scores.tolist(), rollout.finished.tolist(), strict=True)]
    values = rows(rollout.values, rollout.mask)
    raw = [plain_gae(r, v, 0.97, 0.9) for r, v in zip(plain_rewards(rollout, scores), values, strict=True)]
    returns = [[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(raw, values, strict=True)]
    tokens = flat(raw)
    centre = mean(tokens)
    spread = math.sqrt(mean([(a - centre) ** 2 for a in tokens]) + 1e-8)
    return [[(a - centre) / spread for a in row] for row in raw], returns


@pytest.mark.parametrize("seed", range(3))
def test_labels_and_loss_against_a_plain_reading(seed):
    rollout = random_rollout(seed)
    mask, outputs = rollout.mask, random_outputs(seed, rollout.mask)
    advantages, returns = plain_labels(rollout)
    labels = SETTINGS.advantages(rollout)
    for n in range(len(mask)):
        assert close(labels["advantages"][n, mask[n]], advantages[n])
        assert close(labels["returns"][n, mask[n]], returns[n])

    old, old_values = rows(rollout.logprobs, mask), rows(rollout.values, mask)

    def plain(new, values, entropy):
        policy, critic, spread = [], [], flat(entropy)
        for n, length in enumerate(mask.sum(1).tolist()):
            for t in range(length):
                ratio, a = math.exp(new[n][t] - old[n][t]), advantages[n][t]
                policy.append(-min(ratio * a, min(max(ratio, 0.8), 1.2) * a))
                near = old_values[n][t] + min(max(values[n][t] - old_values[n][t], -0.2), 0.2)
                critic.append(max((values[n][t] - returns[n][t]) ** 2, (near - returns[n][t]) ** 2) / 2)
        return mean(policy) + 0.3 * mean(critic) - 0.02 * mean(spread)

    value, slopes = loss_of(SETTINGS, rollout, outputs)
    now = {name: vars(outputs)[name].detach() for name in ("logprobs", "values", "entropy")}
    p, v, h = (rows(now[name], mask) for name in ("logprobs", "values", "entropy"))
    assert close(value.detach(), plain(p, v, h))
    expected = {
        "logprobs": plain_gradient(lambda x: plain(x, v, h), now["logprobs"], mask),
        "values": plain_gradient(lambda x: plain(p, x, h), now["values"], mask),
        "entropy": plain_gradient(lambda x: plain(p, v, x), now["entropy"], mask),
    }
    for name, slope in slopes.items():
        assert torch.allclose(slope, expected[name], atol=1e-7), name


@pytest.mark.parametrize("seed", range(3))
def test_order_and_padding_do_not_matter(seed):
    assert_invariance(SETTINGS, seed)


def test_metrics_are_plain_numbers():
    rollout = random_rollout(0)
    loss = SETTINGS.loss(random_outputs(0, rollout.mask), batch_of(rollout.mask, SETTINGS.advantages(rollout)))
    assert {"clip_fraction", "approx_kl", "policy_loss", "value_loss", "entropy"} == set(loss.metrics)
    assert all(type(value) is float for value in loss.metrics.values())


def test_an_unfinished_completion_keeps_its_score_unless_told():
    rollout = random_rollout(4)
    as_it_is = PPO(whiten_advantages=False).advantages(rollout)["returns"]
    told = PPO(whiten_advantages=False, unfinished_score=-50.0).advantages(rollout)["returns"]
    assert torch.equal((as_it_is != told).any(1), ~rollout.finished)
