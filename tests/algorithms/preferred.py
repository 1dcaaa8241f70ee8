"""Random pairs of completions as ragged lists, the batch that they make, and what holds of every loss over pairs."""

import math
from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from plain_reading import batch_of, close, plain_gradient
from torch import Tensor

from harken.data.batch import Batch, Outputs

LOGP = st.floats(-8.0, -1e-3)
Rows = list[list[float]]


@dataclass(frozen=True)
class Case:
    """N completions' log-probabilities token by token, now and under the reference; pairs of rows with weights."""

    new: Rows
    old: Rows
    pairs: list[tuple[int, int]]
    weights: list[float]

    @property
    def mask(self) -> Tensor:
        longest = max(len(row) for row in self.new)
        return torch.tensor([[t < len(row) for t in range(longest)] for row in self.new])

    def batch(self, fill: float = 0.0) -> tuple[Outputs, Batch]:
        """Padded with `fill`."""
        leaf = padded(self.new, fill).requires_grad_()
        labels = {
            "chosen": torch.tensor([a for a, _ in self.pairs]),
            "rejected": torch.tensor([b for _, b in self.pairs]),
            "pair_weight": torch.tensor(self.weights, dtype=torch.float64),
            "reference_logprobs": padded(self.old, fill),
        }
        return Outputs(logprobs=leaf), batch_of(self.mask, labels)

    def mean(self, losses: list[float]) -> float:
        """Over pairs, by weight."""
        return math.fsum(w * x for w, x in zip(self.weights, losses, strict=True)) / math.fsum(self.weights)


def padded(ragged: Rows, fill: float = 0.0) -> Tensor:
    longest = max(len(row) for row in ragged)
    return torch.tensor([row + [fill] * (longest - len(row)) for row in ragged], dtype=torch.float64)


@st.composite
def cases(draw) -> Case:
    lengths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    new, old = ([draw(st.lists(LOGP, min_size=n, max_size=n)) for n in lengths] for _ in range(2))
    row = st.integers(0, len(lengths) - 1)
    pairs = draw(st.lists(st.tuples(row, row).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=4))
    weights = draw(st.lists(st.floats(0.1, 3.0), min_size=len(pairs), max_size=len(pairs)))
    return Case(new, old, pairs, weights)


def log_sigmoid(x: float) -> float:
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


def sums(ragged: Rows) -> list[float]:
    return [math.fsum(row) for row in ragged]


def means(ragged: Rows) -> list[float]:
    return [math.fsum(row) / len(row) for row in ragged]


def descend(objective, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor]:
    """Value and gradient by the log-probabilities."""
    loss = objective.loss(outputs, batch).value
    return loss.detach(), torch.autograd.grad(loss, outputs.logprobs)[0]


def assert_equation(objective, case: Case, plain) -> None:
    """The value and the gradient of a loss are those of its plain reading: a function of the pairs' rows."""
    outputs, batch = case.batch()
    value, slope = descend(objective, outputs, batch)

    def whole(new: Rows) -> float:
        return case.mean([plain(new, case.old, a, b) for a, b in case.pairs])

    expected = whole(case.new)
    assert close(value, expected)
    numeric = plain_gradient(whole, outputs.logprobs, case.mask)
    assert torch.allclose(slope, numeric, rtol=1e-5, atol=1e-6 * (1 + abs(expected)))


def assert_pair_invariance(objective, case: Case) -> None:
    """Rubbish in the padding, the order of rows and of pairs, and a split into parts change nothing."""
    value, slope = descend(objective, *case.batch())

    def same(other: tuple[Tensor, Tensor]) -> bool:
        return close(value, other[0]) and close(slope, other[1])

    assert same(descend(objective, *case.batch(fill=math.nan)))
    backwards = replace(case, pairs=case.pairs[::-1], weights=case.weights[::-1])
    assert same(descend(objective, *backwards.batch()))

    last = len(case.new) - 1
    turned = Case(case.new[::-1], case.old[::-1], [(last - a, last - b) for a, b in case.pairs], case.weights)
    moved, moved_slope = descend(objective, *turned.batch())
    assert same((moved, moved_slope.flip(0)))

    total, whole = 0.0, torch.zeros_like(slope)
    for pair, weight in zip(case.pairs, case.weights, strict=True):
        part = replace(case, pairs=[pair], weights=[weight])
        outputs, batch = part.batch()
        loss = objective.loss(outputs, batch)
        assert math.isclose(loss.weight, weight)
        total += loss.weight * loss.value.item() / sum(case.weights)
        whole += loss.weight * torch.autograd.grad(loss.value, outputs.logprobs)[0] / sum(case.weights)
    assert close(value, total)
    assert close(slope, whole)


def assert_drives_apart(objective, case: Case) -> None:
    """Where the chosen completion is not far ahead, a step raises every token of it and lowers the rejected one's."""
    new = [case.new[0], case.new[0]]
    one = Case(new, new, [(0, 1)], [1.0])
    _, slope = descend(objective, *one.batch())
    assert (slope[0] < 0).all()
    assert (slope[1] > 0).all()
