import math
from dataclasses import replace

import pytest
import torch
from plain_reading import (
    assert_invariance,
    assert_parts_make_the_whole,
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

from harken.algorithms.kl import AdaptiveKL
from harken.algorithms.ppo import PPO

SETTINGS = PPO(entropy_coefficient=0.02, gamma=0.97, lam=0.9, value_coefficient=0.3, unfinished_score=-1.0)


def plain_labels(rollout):
    """Advantages (whitened) and returns of each token."""
    scores = [s if done else -1.0 for s, done in zip(rollout.scores.tolist(), rollout.finished.tolist(), strict=True)]
    values = rows(rollout.values, rollout.mask)
    raw = [plain_gae(r, v, 0.97, 0.9) for r, v in zip(plain_rewards(rollout, scores, shaped=True), values, strict=True)]
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


def test_parts_make_the_whole():
    assert_parts_make_the_whole(SETTINGS, 0)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_the_kl_in_the_loss_is_a_term_of_it_and_no_reward(estimator):
    rollout = random_rollout(5)
    mask, outputs = rollout.mask, random_outputs(5, rollout.mask)
    in_loss = replace(SETTINGS, kl_in="loss", kl_estimator=estimator)
    without = loss_of(SETTINGS, replace(rollout, kl_coefficient=0.0), outputs)[0]
    reference = rows(rollout.reference_logprobs, mask)

    def plain(new):
        tokens = []
        for n, row in enumerate(new):
            for t, logp in enumerate(row):
                ratio = math.exp(reference[n][t] - logp)
                estimates = {"k1": -math.log(ratio), "k2": math.log(ratio) ** 2 / 2, "k3": ratio - 1 - math.log(ratio)}
                tokens.append(estimates[estimator])
        return rollout.kl_coefficient * mean(tokens)

    value, slopes = loss_of(in_loss, rollout, outputs)
    assert close(value.detach(), without.detach() + plain(rows(outputs.logprobs.detach(), mask)))
    free = loss_of(SETTINGS, replace(rollout, kl_coefficient=0.0), outputs)[1]["logprobs"]
    pulled = plain_gradient(plain, outputs.logprobs.detach(), mask)
    assert torch.allclose(slopes["logprobs"], free + pulled, atol=1e-7)
    assert_invariance(in_loss, 5)
    assert_parts_make_the_whole(in_loss, 5)


def test_a_kl_of_weight_0_needs_no_reference():
    rollout = random_rollout(0, coefficient=0.0)
    unheld = replace(SETTINGS, kl_in="loss", kl=AdaptiveKL(initial=0.0))
    labels = unheld.advantages(rollout)
    assert "reference_logprobs" not in labels
    outputs = random_outputs(0, rollout.mask)
    assert close(loss_of(unheld, rollout, outputs)[0], loss_of(SETTINGS, rollout, outputs)[0])
