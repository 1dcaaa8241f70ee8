"""Integrated gradients: the gradient along the straight way from a blank input to the real one (1703.01365, eq. 1).

What all entries get adds up to the difference between both ends (completeness, proposition 1), up to the error of the
integral, which is taken by Gauss and Legendre's rule; points are doubled until the gap is small. Not by captum: it
multiplies points along the first axis, which in our layout holds the media of a prompt, packed, and words are no
input of a model but the output of a layer (docs/design/008-explain.md). On what both can do they agree
(tests/evaluate/explain/test_integrated_gradients.py).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from harken.evaluate.explain.reading import TEXT_IDS, WORDS, Reading
from harken.evaluate.explain.target import Budget, Target, batch_of
from harken.models.embeddings import word_table
from harken.models.model import Model
from harken.models.policy import at_least_float32
from harken.models.predictor import Predictor

Value = Callable[[Mapping[str, Tensor]], Float[Tensor, " S"]]
"""Inputs by name, each with an axis of S points put first, to a number a point."""
GAP = 0.01
"""How far the sum may be from the difference, relative to it, before points are doubled."""
LEAST = 1e-4
"""A gap that is always small enough."""


@dataclass(frozen=True)
class Integral:
    """What each entry of some inputs did for a number.

    Attributes:
        heat: by input, of its shape.
        change: the number with the real inputs less that with the blank ones.
        points: of the integral.
    """

    heat: dict[str, Tensor]
    change: float
    points: int

    @property
    def total(self) -> float:
        """The sum of all heat."""
        return sum(float(part.double().sum()) for part in self.heat.values())

    @property
    def gap(self) -> float:
        """How far the sum is from the change."""
        return abs(self.total - self.change)


def integrated_gradients(
    value: Value, ends: Mapping[str, tuple[Tensor, Tensor]], budget: Budget | None = None
) -> Integral:
    """The integral along the straight way between two ends.

    Args:
        value: the number that is explained.
        ends: by input the blank and the real one, of one shape.
        budget: how finely.
    """
    budget = budget or Budget()
    with torch.no_grad():
        both = value({name: torch.stack([blank, real]) for name, (blank, real) in ends.items()}).double()
    change = float(both[1] - both[0])
    points = budget.first
    while True:
        found = Integral(_integrate(value, ends, points, budget.batch), change, points)
        if found.gap <= max(GAP * abs(change), LEAST) or points * 2 > budget.most:
            return found
        points *= 2


def _integrate(value: Value, ends: Mapping[str, tuple[Tensor, Tensor]], points: int, batch: int) -> dict[str, Tensor]:
    nodes, shares = np.polynomial.legendre.leggauss(points)
    where, weights = torch.from_numpy((nodes + 1) / 2), torch.from_numpy(shares / 2)
    total = {name: torch.zeros_like(real, dtype=torch.float64) for name, (_, real) in ends.items()}
    for start in range(0, points, batch):
        at = where[start : start + batch]
        inputs = {name: _between(blank, real, at).requires_grad_() for name, (blank, real) in ends.items()}
        with torch.enable_grad():
            summed = value(inputs).sum()
            if not summed.requires_grad:  # nothing of it is read
                return total
            slopes = torch.autograd.grad(summed, list(inputs.values()), allow_unused=True)
        for name, slope in zip(inputs, slopes, strict=True):
            if slope is not None:
                total[name] += torch.tensordot(weights[start : start + batch].to(slope.device), slope.double(), 1)
    return {name: total[name] * (real - blank).double() for name, (blank, real) in ends.items()}


def _between(blank: Tensor, real: Tensor, at: Float[Tensor, " S"]) -> Tensor:
    share = at.to(real).view(-1, *[1] * real.dim())
    return (blank + share * (real - blank)).detach()


def media_heat(
    target: Target, reading: Reading, completion: Int[Tensor, " T"], modality: str, budget: Budget | None = None
) -> Integral:
    """The heat of one modality's media, everything else of the prompt as it is.

    Args:
        target: what is explained.
        reading: the prompt.
        completion: the answer.
        modality: which.
        budget: how finely.
    """
    device = target.model.trunk.device
    real = reading.encoded.media
    named = {name: blank for name, blank in reading.media[modality].items() if real[name].is_floating_point()}
    ends = {name: (blank.to(device), real[name].to(device)) for name, blank in named.items()}

    def value(inputs: Mapping[str, Tensor]) -> Tensor:
        count = len(next(iter(inputs.values())))
        batch = batch_of(target.model, [reading.encoded] * count, completion)
        # A prompt's rows of media stand below those of the prompt before it: the axis of points melts into them.
        media = batch.prompts.media | {name: tensor.flatten(0, 1) for name, tensor in inputs.items()}
        return target(replace(batch, prompts=replace(batch.prompts, media=media)))

    return integrated_gradients(value, ends, budget) if ends else Integral({}, 0.0, 0)


def word_heat(
    target: Target, reading: Reading, completion: Int[Tensor, " T"], budget: Budget | None = None
) -> Integral:
    """The heat of the prompt's words, by their embeddings: an entry a word, in the order of the prompt, (W,).

    They are those that a decoder reads; of a model without one, those that its text encoder does.

    Args:
        target: what is explained.
        reading: the prompt.
        completion: the answer.
        budget: how finely.
    """
    model = target.model
    layer, ids, neutral, places = _words_read(model, reading)
    with torch.no_grad():
        real = at_least_float32(layer(ids[None])[0])
        blank = at_least_float32(layer(torch.full_like(ids, neutral)[None])[0])

    def value(inputs: Mapping[str, Tensor]) -> Tensor:
        batch = batch_of(model, [reading.encoded] * len(inputs[WORDS]), completion)
        with _embedded(layer, places, inputs[WORDS]):
            return target(batch)

    found = integrated_gradients(value, {WORDS: (blank, real)}, budget)
    return replace(found, heat={WORDS: found.heat[WORDS].sum(-1)})


def _words_read(
    model: Model | Predictor, reading: Reading
) -> tuple[torch.nn.Module, Int[Tensor, " W"], int, Int[Tensor, " W"]]:
    """The table that is asked for the words, their ids, the id of a blank one, and their places in what is asked."""
    device = model.trunk.device
    if isinstance(model, Predictor):
        places = reading.heard_at.to(device)
        return word_table(model), reading.encoded.media[TEXT_IDS][0].to(device)[places], reading.unread, places
    places = reading.words.nonzero()[:, 0].to(device)
    return model.trunk.get_input_embeddings(), reading.encoded.ids[reading.words].to(device), reading.neutral, places


@contextmanager
def _embedded(layer: torch.nn.Module, places: Int[Tensor, " W"], words: Float[Tensor, "S W D"]) -> Iterator[None]:
    """Within, an embedding layer gives these embeddings in these places."""

    def put(module: torch.nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
        if out.dim() != 3 or len(out) != len(words):
            return out
        return out.index_copy(1, places, words.to(out.dtype))

    hook = layer.register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()
