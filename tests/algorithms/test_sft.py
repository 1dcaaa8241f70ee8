import math

import torch
from plain_reading import batch_of, close, flat, mean, random_outputs, random_rollout, rows

from harken.algorithms.sft import SFT
from harken.data.batch import Outputs


def test_mean_negative_log_likelihood_of_tokens():
    mask = random_rollout(0).mask
    logprobs = random_outputs(0, mask).logprobs
    loss = SFT().loss(Outputs(logprobs=logprobs), batch_of(mask, {}))
    plain = -mean(flat(rows(logprobs.detach(), mask)))
    assert close(loss.value.detach(), plain)
    assert math.isclose(loss.metrics["perplexity"], math.exp(plain))
    (slope,) = torch.autograd.grad(loss.value, logprobs)
    assert close(slope, -mask.double() / mask.sum())


def test_order_and_padding_do_not_matter():
    mask = random_rollout(1).mask
    logprobs = random_outputs(1, mask).logprobs.detach()
    one = SFT().loss(Outputs(logprobs=logprobs), batch_of(mask, {})).value
    wide = torch.cat([mask, torch.zeros(len(mask), 2, dtype=torch.bool)], 1).flip(0)
    rubbish = torch.where(wide, torch.cat([logprobs, logprobs[:, :2]], 1).flip(0), math.nan)
    assert close(one, SFT().loss(Outputs(logprobs=rubbish), batch_of(wide, {})).value)


def test_parts_make_the_whole():
    mask = random_rollout(2, n=9).mask
    logprobs = random_outputs(2, mask).logprobs
    whole = SFT().loss(Outputs(logprobs=logprobs), batch_of(mask, {}))
    parts = [SFT().loss(Outputs(logprobs=logprobs[i : i + 4]), batch_of(mask[i : i + 4], {})) for i in (0, 4, 8)]
    assert len({part.weight for part in parts}) == 3
    assert whole.weight == sum(part.weight for part in parts) == float(mask.sum())
    assert close(whole.value, sum(part.value * part.weight for part in parts) / whole.weight)
