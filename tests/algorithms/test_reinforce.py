from dataclasses import replace

import pytest
import torch
from plain_reading import (
    assert_invariance,
    assert_parts_make_the_whole,
    batch_of,
    close,
    loss_of,
    mean,
    plain_gradient,
    plain_rewards,
    random_outputs,
    random_rollout,
    rows,
)

from harken.algorithms.reinforce import Reinforce
from harken.data.batch import Outputs


@pytest.mark.parametrize("baseline", ["none", "batch"])
@pytest.mark.parametrize("seed", range(2))
def test_return_less_baseline_times_log_probability(baseline, seed):
    rollout = random_rollout(seed)
    mask, outputs = rollout.mask, random_outputs(seed, rollout.mask)
    returns = [sum(row) for row in plain_rewards(rollout, rollout.scores.tolist())]
    level = mean(returns) if baseline == "batch" else 0.0

    def plain(new):
        return -mean([(g - level) * sum(row) for g, row in zip(returns, new, strict=True)])

    value, slopes = loss_of(Reinforce(baseline=baseline), rollout, outputs)
    assert close(value.detach(), plain(rows(outputs.logprobs.detach(), mask)))
    assert torch.allclose(slopes["logprobs"], plain_gradient(plain, outputs.logprobs, mask), atol=1e-7)


@pytest.mark.parametrize("baseline", ["none", "batch"])
def test_order_and_padding_do_not_matter(baseline):
    assert_invariance(Reinforce(baseline=baseline), 0)


def test_its_mean_over_all_samples_is_the_gradient_of_the_expected_score():
    """One token, three actions: every sample weighed by its probability gives the true gradient."""
    logits = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
    scores = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    logp = logits.log_softmax(0)
    (true,) = torch.autograd.grad((logp.exp() * scores).sum(), logits, retain_graph=True)
    rollout, algorithm = random_rollout(0, n=1, t=1, coefficient=0.0), Reinforce(baseline="none")
    estimate = torch.zeros(3, dtype=torch.float64)
    for action in range(3):
        labels = algorithm.advantages(replace(rollout, scores=scores[action : action + 1]))
        loss = algorithm.loss(Outputs(logprobs=logp[action].reshape(1, 1)), batch_of(rollout.mask, labels))
        (slope,) = torch.autograd.grad(loss.value, logits, retain_graph=True)
        estimate -= logp[action].exp().detach() * slope
    assert close(estimate, true)


def test_parts_make_the_whole():
    assert_parts_make_the_whole(Reinforce(), 0)
