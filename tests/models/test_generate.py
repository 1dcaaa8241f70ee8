"""Sampling continues the shared prefix as transformers' own generate would."""

import pytest
import torch
from tiny import prompts, tiny_model

from harken.data.batch import collate, collate_prompts
from harken.data.blobs import Blobs
from harken.models.choice import choose
from harken.models.generate import Decoding, Sampling, generate


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


@pytest.mark.parametrize("layout", ["shared", "plain"])
def test_two_samplings_on_one_model_do_not_mix(encoded, layout):
    """A step of one and a step of the other, against each alone."""
    model = tiny_model()
    model.layout = layout
    decoding = Decoding(12, 2.0)

    def begin(n):
        asked = collate_prompts([encoded[n]], model.processor.pad_id)
        rows = torch.zeros(3, dtype=torch.long)
        return asked, rows, decoding, torch.Generator().manual_seed(n)

    alone = [generate(model, *begin(n)) for n in (1, 4)]
    with torch.no_grad(), model.in_role():
        both = [Sampling(model, *begin(n)) for n in (1, 4)]
        while not all(sampling.over for sampling in both):
            for sampling in both:
                if not sampling.over:
                    sampling.step()
    for sampling, whole in zip(both, alone, strict=True):
        made = sampling.sampled()
        assert [ids.tolist() for ids in made.ids] == [ids.tolist() for ids in whole.ids]
        assert torch.equal(torch.cat(made.logprobs), torch.cat(whole.logprobs))


@pytest.mark.parametrize("layout", ["shared", "plain"])
def test_rows_that_leave_change_nothing_for_the_others(encoded, layout):
    model = tiny_model()
    model.layout = layout
    asked = collate_prompts(encoded[:2], model.processor.pad_id)
    rows = torch.tensor([0, 1, 0, 1, 0])
    decoding = Decoding(10, 2.0, min_tokens=10)
    whole = generate(model, asked, rows, decoding, torch.Generator().manual_seed(3))
    with torch.no_grad(), model.in_role():
        sampling = Sampling(model, asked, rows, decoding, torch.Generator().manual_seed(3))
        seen = []
        while not sampling.over:
            seen.append(sampling.step().rows.tolist())
            if len(seen) in (2, 3):
                sampling.leave([1, 3] if len(seen) == 2 else [4])
    made = sampling.sampled()
    lengths = [10, 2, 10, 2, 3]
    assert seen[:4] == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [0, 2, 4], [0, 2]]
    for ids, full, length in zip(made.ids, whole.ids, lengths, strict=True):
        assert ids.tolist() == full.tolist()[:length]
    assert not made.finished[[1, 3, 4]].any()
