from dataclasses import replace

import pytest
import torch
from plain_reading import (
    assert_invariance,
    assert_parts_make_the_whole,
    batch_of,
    close,
    flat,
    gradients,
    loss_of,
    mean,
    plain_gradient,
    random_outputs,
    random_rollout,
    rows,
)

from harken.algorithms.rejection_sampling import RejectionSampling


def plainly_taken(rollout, each, above) -> list[bool]:
    """2304.06767, algorithm 1: of each prompt's completions the `each` best that end and are above a bound."""
    scores, prompt, finished = rollout.scores.tolist(), rollout.prompt.tolist(), rollout.finished.tolist()
    good = [done and (above is None or score > above) for done, score in zip(finished, scores, strict=True)]
    taken = []
    for n, score in enumerate(scores):
        rivals = [m for m in range(len(scores)) if prompt[m] == prompt[n] and good[m]]
        better = [m for m in rivals if scores[m] > score or (scores[m] == score and m < n)]
        taken.append(good[n] and len(better) < each)
    return taken


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("each", "above"), [(1, None), (2, 0.1), (8, 0.0)])
def test_the_loss_is_supervised_training_on_the_best(seed, each, above):
    rollout = random_rollout(seed, n=9)
    rollout = replace(rollout, scores=rollout.scores.round(decimals=0), finished=torch.arange(9) % 4 != 1)
    algorithm = RejectionSampling(each=each, above=above)
    taken = plainly_taken(rollout, each, above)
    assert algorithm.advantages(rollout)["taken"].tolist() == taken
    outputs = random_outputs(seed, rollout.mask)

    def plain(new):
        tokens = flat([row for row, kept in zip(new, taken, strict=True) if kept])
        return -mean(tokens) if tokens else 0.0

    value, slopes = loss_of(algorithm, rollout, outputs)
    assert close(value.detach(), plain(rows(outputs.logprobs.detach(), rollout.mask)))
    assert torch.allclose(slopes["logprobs"], plain_gradient(plain, outputs.logprobs, rollout.mask), atol=1e-7)


def test_where_nothing_is_good_enough_nothing_is_learnt():
    rollout = random_rollout(0)
    outputs = random_outputs(0, rollout.mask)
    algorithm = RejectionSampling(above=float(rollout.scores.max()))
    loss = algorithm.loss(outputs, batch_of(rollout.mask, algorithm.advantages(rollout), rollout.prompt))
    assert (loss.value.item(), loss.weight) == (0.0, 0.0)
    assert not gradients(loss.value, outputs, algorithm.needs)["logprobs"].any()


def test_order_and_padding_do_not_matter():
    assert_invariance(RejectionSampling(), 1)


def test_parts_make_the_whole():
    assert_parts_make_the_whole(RejectionSampling(each=2), 0)


def test_taking_none_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        RejectionSampling(each=0)
