import math

import torch
from hypothesis import given, settings
from plain_reading import close
from preferred import cases, means, padded, sums

from harken.algorithms.pairs import log_ratios, margins, mean_logprobs, pair_loss, sequence_logprobs


@given(case=cases())
@settings(max_examples=30)
def test_completions_as_numbers_whatever_stands_in_the_padding(case):
    rubbish = padded(case.new, math.nan)
    assert close(sequence_logprobs(rubbish, case.mask), sums(case.new))
    assert close(mean_logprobs(rubbish, case.mask), means(case.new))
    outputs, batch = case.batch(fill=math.nan)
    expected = [new - old for new, old in zip(sums(case.new), sums(case.old), strict=True)]
    assert close(log_ratios(outputs.logprobs.detach(), batch), expected)
    values = torch.tensor(expected, dtype=torch.float64)
    assert close(margins(values, batch.labels), [expected[a] - expected[b] for a, b in case.pairs])


def test_a_weight_of_two_is_the_pair_twice():
    rewards = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    rows = {"chosen": torch.tensor([0, 2]), "rejected": torch.tensor([1, 0])}
    weighed = pair_loss(
        torch.tensor([1.0, 4.0], dtype=torch.float64), rewards, rows | {"pair_weight": torch.tensor([2.0, 1.0])}
    )
    twice = {"chosen": torch.tensor([0, 0, 2]), "rejected": torch.tensor([1, 1, 0])}
    other = pair_loss(torch.tensor([1.0, 1.0, 4.0], dtype=torch.float64), rewards, twice)
    assert close(weighed.value, other.value)
    assert weighed.metrics == other.metrics
    assert weighed.weight == other.weight == 3.0


def test_rewards_in_the_metrics_take_no_gradient():
    losses = torch.ones(1, dtype=torch.float64, requires_grad=True)
    rewards = torch.ones(2, dtype=torch.float64, requires_grad=True)
    loss = pair_loss(losses, rewards, {"chosen": torch.tensor([0]), "rejected": torch.tensor([1])})
    by_loss, by_reward = torch.autograd.grad(loss.value, [losses, rewards], allow_unused=True)
    assert by_loss is not None
    assert by_reward is None
