"""The shared prefix is exact: log-probabilities and gradients are those of full rows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import doubled, prompts, tiny_model
from torch import Tensor

from harken.data.batch import EncodedPrompt, collate
from harken.data.blobs import Blobs
from harken.models.model import Model

ALL = frozenset({"logprobs", "entropy", "values", "scores"})


@pytest.fixture(scope="module")
def model() -> Model:
    made = tiny_model()
    made.add_heads("value", 1, 1, prior=1.0)
    made.add_heads("score", 3, 2, prior=1.0)
    return made.double()


@pytest.fixture(scope="module")
def encoded(model, tmp_path_factory) -> list[EncodedPrompt]:
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    return doubled([model.processor.encode(prompt, blobs) for prompt in prompts(blobs)])


def full_rows(model: Model, encoded: list[EncodedPrompt], completions: list[Tensor], rows: list[int]) -> list[Tensor]:
    """The plain reading: each prompt with its completion as one row of its own, no cache, no padding."""
    out = []
    for ids, row in zip(completions, rows, strict=True):
        whole = torch.cat([encoded[row].ids, ids])[None]
        logits = model.trunk(input_ids=whole, attention_mask=torch.ones_like(whole), **encoded[row].media).logits[0]
        for placeholder in model.suppressed:
            logits[:, placeholder] = -torch.inf
        start = len(encoded[row].ids)
        logp = logits[start - 1 : -1].log_softmax(-1)
        out.append(logp.gather(-1, ids[:, None])[:, 0])
    return out


def gradients(value: Tensor, model: Model) -> list[Tensor]:
    parameters = list(model.trunk.parameters())
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


@settings(max_examples=8)
@given(data=st.data())
def test_equals_full_rows(model, encoded, data):
    rows = sorted(data.draw(st.lists(st.integers(0, len(encoded) - 1), min_size=1, max_size=6)))
    completions = [torch.tensor(data.draw(st.lists(st.integers(7, 290), min_size=1, max_size=6))) for _ in rows]
    used = sorted(set(rows))
    batch = collate([encoded[r] for r in used], completions, [used.index(r) for r in rows], 0)
    out = model(batch, frozenset({"logprobs"})).logprobs
    plain = full_rows(model, encoded, completions, rows)
    for n, expected in enumerate(plain):
        torch.testing.assert_close(out[n, : len(expected)], expected, atol=1e-6, rtol=1e-6)
        assert (out[n, len(expected) :] == 0).all()
    weights = torch.linspace(0.5, 1.5, len(rows), dtype=torch.float64)
    ours = gradients((out.sum(1) * weights).sum(), model)
    theirs = gradients(sum(p.sum() * w for p, w in zip(plain, weights, strict=True)), model)
    # transformers' norms compute in single precision whatever they are given: hence no tighter bound.
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)


def test_single_precision_is_close_enough(tmp_path):
    """The bound of the house: 1e-5 on log-probabilities, 1e-5 relative on gradients, in float32."""
    model, blobs = tiny_model(3), Blobs(tmp_path)
    encoded = [model.processor.encode(prompt, blobs) for prompt in prompts(blobs)]
    rows = [0, 0, 1, 2, 2, 3, 4]
    completions = [torch.arange(10, 14 + n) for n in range(len(rows))]
    out = model(collate(encoded, completions, rows, 0), frozenset({"logprobs"})).logprobs
    plain = full_rows(model, encoded, completions, rows)
    worst = max((out[n, : len(p)] - p).abs().max().item() for n, p in enumerate(plain))
    assert worst < 1e-5
    ours = torch.cat([g.flatten() for g in gradients(out.sum(), model)])
    theirs = torch.cat([g.flatten() for g in gradients(sum(p.sum() for p in plain), model)])
    assert (ours - theirs).norm() / theirs.norm() < 1e-5


def test_padding_and_company_change_nothing(model, encoded):
    completions = [torch.arange(10, 13), torch.arange(20, 29), torch.arange(30, 31)]
    together = model(collate([encoded[1], encoded[4], encoded[0]], completions, [0, 1, 2], 0), ALL)
    for n, one in enumerate([encoded[1], encoded[4], encoded[0]]):
        alone = model(collate([one], [completions[n]], [0], 0), ALL)
        length = len(completions[n])
        for name in ("logprobs", "entropy", "values"):
            torch.testing.assert_close(getattr(together, name)[n, :length], getattr(alone, name)[0])
        torch.testing.assert_close(together.scores[n], alone.scores[0])


def test_entropy_is_that_of_the_distribution(model, encoded):
    ids = torch.arange(40, 44)
    batch = collate([encoded[1]], [ids], [0], 0)
    whole = torch.cat([encoded[1].ids, ids])[None]
    logits = model.trunk(input_ids=whole, **encoded[1].media).logits[0]
    logits[:, list(model.suppressed)] = -torch.inf
    distribution = torch.distributions.Categorical(logits=logits[len(encoded[1].ids) - 1 : -1])
    plain = torch.stack([-(p[p > 0] * p[p > 0].log()).sum() for p in distribution.probs])
    torch.testing.assert_close(model(batch, ALL).entropy[0], plain)
