import math
from dataclasses import replace

import pytest
import torch
from plain_reading import (
    assert_invariance,
    close,
    flat,
    loss_of,
    mean,
    plain_gradient,
    random_outputs,
    random_rollout,
    rows,
)

from harken.algorithms.grpo import GRPO


@pytest.mark.parametrize("aggregate", ["token", "sequence"])
@pytest.mark.parametrize("scale", ["std", "none"])
@pytest.mark.parametrize("seed", range(2))
def test_equations_3_and_4(aggregate, scale, seed):
    rollout = random_rollout(seed, n=8)
    mask, outputs = rollout.mask, random_outputs(seed, rollout.mask)
    scores, prompt = rollout.scores.tolist(), rollout.prompt.tolist()
    advantages = []
    for n, score in enumerate(scores):
        group = [scores[m] for m in range(len(scores)) if prompt[m] == prompt[n]]
        spread = math.sqrt(mean([(s - mean(group)) ** 2 for s in group])) + 1e-4
        advantages.append((score - mean(group)) / (spread if scale == "std" else 1.0))
    old, reference = rows(rollout.logprobs, mask), rows(rollout.reference_logprobs, mask)

    def plain(new):
        tokens = []
        for n, row in enumerate(new):
            tokens.append([])
            for t, logp in enumerate(row):
                ratio, a = math.exp(logp - old[n][t]), advantages[n]
                kl = math.exp(reference[n][t] - logp) - (reference[n][t] - logp) - 1
                tokens[-1].append(-min(ratio * a, min(max(ratio, 0.8), 1.2) * a) + rollout.kl_coefficient * kl)
        return mean(flat(tokens)) if aggregate == "token" else mean([mean(row) for row in tokens])

    value, slopes = loss_of(GRPO(scale=scale, aggregate=aggregate), rollout, outputs)
    assert close(value.detach(), plain(rows(outputs.logprobs.detach(), mask)))
    assert torch.allclose(slopes["logprobs"], plain_gradient(plain, outputs.logprobs, mask), atol=1e-7)


@pytest.mark.parametrize("aggregate", ["token", "sequence"])
def test_order_and_padding_do_not_matter(aggregate):
    assert_invariance(GRPO(aggregate=aggregate), 2)


def test_a_group_of_equal_scores_teaches_nothing_in_single_precision_too():
    rollout = random_rollout(0, n=7, prompts=1)
    same = replace(
        rollout,
        scores=torch.full((7,), 0.1),
        logprobs=rollout.logprobs.float(),
        reference_logprobs=rollout.reference_logprobs.float(),
        values=rollout.values.float(),
    )
    assert GRPO().advantages(same)["advantages"].abs().max() < 1e-10


def test_scale_std_does_not_see_the_scores_scale():
    rollout = random_rollout(0, n=8, prompts=2)
    large = replace(rollout, scores=1000 * rollout.scores)
    one, other = (GRPO().advantages(r)["advantages"] for r in (rollout, large))
    assert torch.allclose(one, other, rtol=1e-2)


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        GRPO(group=1)
