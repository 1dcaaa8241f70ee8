"""Log-probabilities and entropy: against plain reading, in parts, and computed again in the backward pass."""

import math

import pytest
import torch
from torch import nn

from harken.models import policy
from harken.models.policy import LanguageHead, logprobs_and_entropy

VOCABULARY, WIDTH = 11, 4


def plain(states: list[float], weight: list[list[float]], token: int, head: LanguageHead) -> tuple[float, float]:
    """One token's log-probability and its distribution's entropy, by loops."""
    logits = [sum(w * s for w, s in zip(row, states, strict=True)) for row in weight]
    if head.cap is not None:
        logits = [head.cap * math.tanh(z / head.cap) for z in logits]
    logits = [z / head.temperature for z in logits]
    kept = [i for i in range(len(logits)) if i not in head.suppressed.tolist()]
    total = math.log(sum(math.exp(logits[i]) for i in kept))
    probabilities = [math.exp(logits[i] - total) for i in kept]
    return logits[token] - total, -sum(p * math.log(p) for p in probabilities)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_equals_the_plain_reading_and_its_gradients(monkeypatch, again, cap, temperature):
    generator = torch.Generator().manual_seed(1)
    linear = nn.Linear(WIDTH, VOCABULARY, bias=False).double()
    with torch.no_grad():
        linear.weight.copy_(torch.randn(VOCABULARY, WIDTH, generator=generator))
    head = LanguageHead(linear, torch.tensor([2, 7]), temperature, cap)
    states = torch.randn(3, 5, WIDTH, generator=generator, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([[0, 1, 3, 4, 5], [6, 8, 9, 10, 0], [1, 1, 1, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]).bool()
    weights = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)

    def gradients() -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]:
        logprobs, entropy = logprobs_and_entropy(states, head, ids, mask, entropy=True)
        value = (logprobs * weights[0]).sum() + (entropy * weights[1]).sum()
        return logprobs, entropy, torch.autograd.grad(value, [states, linear.weight])

    whole = gradients()
    if again:
        monkeypatch.setattr(policy, "KEPT_BYTES", 0)
        monkeypatch.setattr(policy, "PART_BYTES", 4 * VOCABULARY * 2)
        for ours, theirs in zip(gradients(), whole, strict=True):
            torch.testing.assert_close(ours, theirs)
    for n in range(3):
        for t in range(5):
            logprob, entropy = plain(states[n, t].tolist(), linear.weight.tolist(), int(ids[n, t]), head)
            expected = (logprob, entropy) if mask[n, t] else (0.0, 0.0)
            assert (float(whole[0][n, t]), float(whole[1][n, t])) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("entropy", [False, True])
def test_gradients_of_what_is_computed_again(monkeypatch, entropy):
    monkeypatch.setattr(policy, "KEPT_BYTES", 0)
    monkeypatch.setattr(policy, "PART_BYTES", 4 * VOCABULARY * 2)
    linear = nn.Linear(WIDTH, VOCABULARY, bias=False).double()
    head = LanguageHead(linear, torch.tensor([3]), 0.5)
    states = torch.randn(2, 3, WIDTH, dtype=torch.float64, requires_grad=True)
    ids, mask = torch.tensor([[0, 1, 2], [4, 5, 6]]), torch.ones(2, 3, dtype=torch.bool)

    def value(states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        logprobs, spread = logprobs_and_entropy(states, head, ids, mask, entropy)
        return logprobs.square().sum() + (0 if spread is None else spread.square().sum())

    assert torch.autograd.gradcheck(value, (states, linear.weight))


def test_the_large_path_keeps_no_logits(monkeypatch):
    """What is saved for the backward pass does not grow with the vocabulary, but for the head itself."""
    monkeypatch.setattr(policy, "KEPT_BYTES", 0)
    saved = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.numel())
        return tensor

    linear = nn.Linear(8, 5000, bias=False)
    states = torch.randn(4, 16, 8, requires_grad=True)
    ids, mask = torch.randint(5000, (4, 16)), torch.ones(4, 16, dtype=torch.bool)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logprobs_and_entropy(states, LanguageHead(linear, torch.tensor([], dtype=torch.long)), ids, mask)
    assert max(saved) == linear.weight.numel()
    assert sorted(saved)[-2] <= states.numel()
