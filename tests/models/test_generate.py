"""Sampling continues the shared prefix as transformers' own generate would."""

import pytest
import torch
from tiny import prompts, tiny_model

from harken.data.batch import collate, collate_prompts
from harken.data.blobs import Blobs
from harken.models.choice import choose
from harken.models.generate import Decoding, generate


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def encoded(model, tmp_path_factory):
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    return [model.processor.encode(prompt, blobs) for prompt in prompts(blobs)]


def test_greedy_equals_transformers(model, encoded):
    asked = collate_prompts(encoded, model.processor.pad_id)
    ours = generate(model, asked, torch.arange(len(encoded)), Decoding(12, 0.0), torch.Generator())
    theirs = model.trunk.generate(
        input_ids=asked.ids,
        attention_mask=asked.mask.long(),
        **asked.media,
        max_new_tokens=12,
        do_sample=False,
        suppress_tokens=list(model.suppressed),
    )[:, asked.ids.shape[1] :]
    for n, ids in enumerate(ours.ids):
        assert ids.tolist() == theirs[n, : len(ids)].tolist()
        assert bool(ours.finished[n]) == (ids[-1] == model.processor.end_id)


def test_finished_rows_leave_and_change_nothing(model, encoded):
    """A row's tokens do not depend on its company: alone, it samples the same from the same noise."""
    asked = collate_prompts(encoded, model.processor.pad_id)
    rows = torch.arange(len(encoded)).repeat_interleave(6)
    # A temperature high enough that rows end at different steps.
    sampled = generate(model, asked, rows, Decoding(24, 3.0), torch.Generator().manual_seed(5))
    assert len({len(ids) for ids in sampled.ids}) > 1
    noise = torch.rand(len(rows), 24, generator=torch.Generator().manual_seed(5))
    for n in (0, 7, 20):
        prefix = encoded[int(rows[n])]
        written: list[int] = []
        for step in range(len(sampled.ids[n])):
            whole = torch.cat([prefix.ids, torch.tensor(written, dtype=torch.long)])[None]
            logits = model.trunk(input_ids=whole, **prefix.media).logits[:, -1]
            logits[:, list(model.suppressed)] = torch.finfo(logits.dtype).min
            written.append(int(choose(logits / 3.0, noise[n, step : step + 1])))
        assert written == sampled.ids[n].tolist()


def test_never_writes_a_placeholder(model, encoded):
    asked = collate_prompts(encoded, model.processor.pad_id)
    sampled = generate(
        model, asked, torch.zeros(64, dtype=torch.long), Decoding(24, 50.0), torch.Generator().manual_seed(0)
    )
    written = {int(token) for ids in sampled.ids for token in ids}
    assert len(written) > 100
    assert not written & set(model.suppressed)


def test_choose_follows_the_distribution():
    logits = torch.tensor([0.0, 1.0, 2.0]).repeat(20_000, 1)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    share = torch.bincount(choose(logits / 2.0, uniform), minlength=3) / 20_000
    torch.testing.assert_close(share, (logits[0] / 2).softmax(-1), atol=0.01, rtol=0)
    impossible = torch.tensor([[torch.finfo(torch.float32).min, 0.0, torch.finfo(torch.float32).min]])
    assert choose(impossible, torch.tensor([0.0])).item() == 1
    assert choose(impossible, torch.tensor([1.0 - 1e-7])).item() == 1


def test_sampled_logprobs_are_the_policys(model, encoded):
    """What was sampled at a temperature has the log-probabilities that the layout computes at that temperature."""
    asked = collate_prompts(encoded[:1], model.processor.pad_id)
    n = 4000
    sampled = generate(
        model, asked, torch.zeros(n, dtype=torch.long), Decoding(1, 1.0), torch.Generator().manual_seed(1)
    )
    first = torch.tensor([int(ids[0]) for ids in sampled.ids])
    token = int(first.mode().values)
    batch = collate(encoded[:1], [torch.tensor([token])], [0], model.processor.pad_id)
    expected = model(batch, frozenset({"logprobs"})).logprobs[0, 0].exp().item()
    seen = (first == token).float().mean().item()
    assert seen == pytest.approx(expected, abs=4 * (expected * (1 - expected) / n) ** 0.5)


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"temperature": -1.0}])
def test_decoding_refuses_nonsense(wrong):
    with pytest.raises(ValueError, match="max_tokens"):
        Decoding(**wrong)
