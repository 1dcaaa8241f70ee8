import math
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
    random_outputs,
    random_rollout,
    rows,
)

from harken.algorithms.objective import RLAlgorithm
from harken.algorithms.online_dpo import OnlineDPO

SETTINGS = OnlineDPO(beta=0.3)


@pytest.mark.parametrize("link", ["sigmoid", "hinge"])
@pytest.mark.parametrize("seed", range(3))
def test_best_against_worst_of_each_prompt(seed, link):
    rollout = random_rollout(seed, n=9)
    mask, outputs = rollout.mask, random_outputs(seed, rollout.mask)
    scores, prompt = rollout.scores.tolist(), rollout.prompt.tolist()
    reference = rows(rollout.reference_logprobs, mask)

    def plain(new):
        pairs = []
        for asked in set(prompt):
            group = [n for n in range(len(scores)) if prompt[n] == asked]
            best, worst = max(group, key=lambda n: scores[n]), min(group, key=lambda n: scores[n])
            if best != worst:
                m = 0.3 * (sum(new[best]) - sum(reference[best]) - sum(new[worst]) + sum(reference[worst]))
                pairs.append(math.log(1 + math.exp(-m)) if link == "sigmoid" else max(0.0, 1 - m))
        return mean(pairs)

    value, slopes = loss_of(replace(SETTINGS, link=link), rollout, outputs)
    assert close(value.detach(), plain(rows(outputs.logprobs.detach(), mask)))
    assert torch.allclose(slopes["logprobs"], plain_gradient(plain, outputs.logprobs, mask), atol=1e-7)


def test_order_padding_and_parts_do_not_matter():
    assert_invariance(SETTINGS, 1)
    assert_parts_make_the_whole(SETTINGS, 1)


def test_equal_scores_make_no_pair_and_no_gradient():
    rollout = random_rollout(0)
    same = replace(rollout, scores=torch.full_like(rollout.scores, 0.1))
    labels = SETTINGS.advantages(same)
    outputs = random_outputs(0, rollout.mask)
    loss = SETTINGS.loss(outputs, batch_of(rollout.mask, labels, rollout.prompt))
    assert (labels["side"] == 0).all()
    assert (loss.value.item(), loss.weight) == (0.0, 0.0)
    assert (torch.autograd.grad(loss.value, outputs.logprobs)[0] == 0).all()


def test_it_is_a_reinforcement_method_that_always_asks_the_reference():
    assert isinstance(SETTINGS, RLAlgorithm)
    assert SETTINGS.kl.initial == 0.3
    assert SETTINGS.kl.update(0.3, 100.0, 8) == 0.3


@pytest.mark.parametrize("wrong", [{"group": 1}, {"beta": 0.0}, {"label_smoothing": 0.5}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="dpo"):
        OnlineDPO(**wrong)
