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
    plain_gradient,
    random_outputs,
    random_rollout,
    rows,
)

from harken.algorithms.grpo import GRPO
from harken.algorithms.kl import AdaptiveKL
from harken.algorithms.overlong import Overlong


def plain_advantages(rollout, scale, overlong=None):
    """2402.03300, section 4.1.2, with 2503.14476, eq. 13 in the scores."""
    prompt, scores = rollout.prompt.tolist(), rollout.scores.tolist()
    if overlong is not None:
        free = overlong.limit - overlong.cache
        lengths = rollout.mask.sum(1).tolist()
        scores = [s - min(max(n - free, 0) / overlong.cache, 1.0) for s, n in zip(scores, lengths, strict=True)]
    out = []
    for n, score in enumerate(scores):
        group = [scores[m] for m in range(len(scores)) if prompt[m] == prompt[n]]
        spread = math.sqrt(mean([(s - mean(group)) ** 2 for s in group])) + 1e-4
        out.append((score - mean(group)) / (spread if scale == "std" else 1.0))
    return out


def plain_loss(new, rollout, advantages, kept, made):
    """2402.03300, eq. 3 and 4, 2503.14476, eq. 8, and 2503.20783, over the completions that are kept."""
    old, reference = rows(rollout.logprobs, rollout.mask), rows(rollout.reference_logprobs, rollout.mask)
    high = made.clip if made.clip_high is None else made.clip_high
    tokens = []
    for n, row in enumerate(new):
        if not kept[n]:
            continue
        tokens.append([])
        for t, logp in enumerate(row):
            ratio, a, other = math.exp(logp - old[n][t]), advantages[n], math.exp(reference[n][t] - logp)
            kl = {"k1": -math.log(other), "k2": math.log(other) ** 2 / 2, "k3": other - math.log(other) - 1}
            moved = min(ratio * a, min(max(ratio, 1 - made.clip), 1 + high) * a)
            tokens[-1].append(-moved + rollout.kl_coefficient * kl[made.kl_estimator])
    match made.aggregate:
        case "token":
            return mean(flat(tokens))
        case "sequence":
            return mean([mean(row) for row in tokens])
        case _:
            return mean([sum(row) / made.constant_length for row in tokens])


AGGREGATES = [{"aggregate": "token"}, {"aggregate": "sequence"}, {"aggregate": "constant", "constant_length": 20}]
CHOICES = [
    {"scale": "std"},
    {"scale": "none"},
    {"clip_high": 0.6, "kl_estimator": "k1"},
    {"clip_high": 0.1, "kl_estimator": "k2"},
    {"drop_unfinished": True},
    {"skip_equal": True},
    {"overlong": Overlong(limit=6, cache=4), "skip_equal": True, "drop_unfinished": True},
]


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda made: made["aggregate"])
@pytest.mark.parametrize("choice", CHOICES, ids="+".join)
@pytest.mark.parametrize("seed", range(2))
def test_equations(aggregate, choice, seed):
    rollout = random_rollout(seed, n=9)
    # One group whose scores are all equal, of completions that are equally long.
    tied = rollout.prompt == rollout.prompt[0]
    longest = torch.arange(rollout.mask.shape[1])[None] < 5
    rollout = replace(
        rollout,
        scores=torch.where(tied, 0.1, rollout.scores),
        mask=torch.where(tied[:, None], longest, rollout.mask),
    )
    made, mask = GRPO(**aggregate, **choice), rollout.mask
    outputs = random_outputs(seed, mask)
    finished, equal = rollout.finished.tolist(), tied.tolist()
    kept = [
        not (made.drop_unfinished and not done) and not (made.skip_equal and same)
        for done, same in zip(finished, equal, strict=True)
    ]
    prompts = rollout.prompt.tolist()
    alone = [prompts.count(prompt) == 1 for prompt in prompts]
    kept = [keep and not (made.skip_equal and single) for keep, single in zip(kept, alone, strict=True)]
    advantages = plain_advantages(rollout, made.scale, made.overlong)

    def plain(new):
        return plain_loss(new, rollout, advantages, kept, made)

    value, slopes = loss_of(made, rollout, outputs)
    assert close(value.detach(), plain(rows(outputs.logprobs.detach(), mask)))
    assert torch.allclose(slopes["logprobs"], plain_gradient(plain, outputs.logprobs, mask), atol=1e-7)


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda made: made["aggregate"])
@pytest.mark.parametrize("more", [{}, {"drop_unfinished": True, "skip_equal": True}], ids=["all", "kept"])
def test_order_padding_and_parts_do_not_matter(aggregate, more):
    assert_invariance(GRPO(**aggregate, **more), 2)
    assert_parts_make_the_whole(GRPO(**aggregate, **more), 3)


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


def test_the_share_of_groups_that_teach_nothing_is_reported():
    rollout = replace(
        random_rollout(0, n=7),
        prompt=torch.tensor([0, 0, 0, 1, 1, 2, 2]),
        scores=torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 2.0, 2.0], dtype=torch.float64),
    )
    outputs = random_outputs(0, rollout.mask)
    for skip in (False, True):
        made = GRPO(skip_equal=skip)
        loss = made.loss(outputs, batch_of(rollout.mask, made.advantages(rollout), rollout.prompt))
        assert loss.metrics["group/equal"] == pytest.approx(2 / 3)
        assert loss.weight == (2.0 if skip else 7.0)


def test_a_batch_of_which_nothing_is_kept_weighs_nothing():
    rollout = replace(random_rollout(0), scores=torch.ones(6, dtype=torch.float64))
    made, outputs = GRPO(skip_equal=True), random_outputs(0, rollout.mask)
    loss = made.loss(outputs, batch_of(rollout.mask, made.advantages(rollout), rollout.prompt))
    assert (loss.value.item(), loss.weight) == (0.0, 0.0)
    assert (torch.autograd.grad(loss.value, outputs.logprobs)[0] == 0).all()


def test_without_a_kl_no_reference_is_needed():
    free = GRPO(kl=AdaptiveKL(initial=0.0, adaptive=False))
    rollout = random_rollout(1, coefficient=0.0)
    labels, outputs = free.advantages(rollout), random_outputs(1, rollout.mask)
    assert set(labels) == {"advantages", "old_logprobs", "kept", "equal"}
    assert close(loss_of(free, rollout, outputs)[0], loss_of(GRPO(), rollout, outputs)[0])


@pytest.mark.parametrize("wrong", [{"aggregate": "constant"}, {"constant_length": 8}])
def test_a_constant_length_goes_with_its_aggregate(wrong):
    with pytest.raises(ValueError, match="go together"):
        GRPO(**wrong)
