"""One step's loss and gradients over its batches: parts together give what the whole would."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from harken.algorithms.objective import Loss, Objective
from harken.data.batch import Batch, Outputs
from harken.train import bad_batch


@dataclass
class Figures:
    """A step's figures: means over the batches that have them, each by its weight."""

    total: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def add(self, loss: Loss, seen: dict[str, float]) -> None:
        """Count one batch."""
        self.total += loss.weight
        for name, value in {"loss": loss.value.item(), **loss.metrics, **seen}.items():
            weight = loss.metric_weights.get(name, loss.weight)
            self.sums[name] = self.sums.get(name, 0.0) + value * weight
            self.weights[name] = self.weights.get(name, 0.0) + weight

    def means(self) -> dict[str, float]:
        """The figures of the step; 0 where no batch counted."""
        return {name: value / self.weights[name] if self.weights[name] else 0.0 for name, value in self.sums.items()}


class BadNumber(FloatingPointError):
    """A loss or a gradient that is no number; the batch that caused it was kept."""


@dataclass
class Step:
    """One step at work.

    Attributes:
        name: of stage and step, for errors.
        folder: where a bad batch is kept.
        module: called as `module(batch, needs)`.
        objective: the loss.
        observe: the source's word on a batch's outputs.
        advice: what to do about a bad number.
    """

    name: str
    folder: Path
    module: nn.Module
    objective: Objective
    observe: Callable[[Batch, Outputs], dict[str, float]]
    advice: str
    _seen: dict[str, float] | None = field(default=None, init=False)

    def loss_of(self, batch: Batch) -> tuple[Loss, dict[str, float]]:
        """A batch's loss, and what the source says of its outputs.

        Raises:
            BadNumber: if the loss is not finite.
        """
        outputs = self.module(batch, self.objective.needs)
        loss = self.objective.loss(outputs, batch)
        if not bool(torch.isfinite(loss.value)):
            self.refuse([batch], f"the loss is {loss.value.item()}")
        return loss, self.observe(batch, outputs)

    def refuse(self, batches: Sequence[Batch], reason: str) -> None:
        """Stop, with the batches kept."""
        kept = [
            bad_batch.save(self.folder if n == 0 else self.folder.with_name(f"{self.folder.name}-{n}"), batch, reason)
            for n, batch in enumerate(batches)
        ]
        spoilt = sorted({name for batch in batches for name in bad_batch.holds_bad_numbers(batch)})
        inside = f"; not finite in it already: {', '.join(spoilt)}" if spoilt else ""
        raise BadNumber(
            f"{self.name}: {reason}. The batch is kept in {kept[0]} (harken.train.bad_batch.load reads it){inside}. "
            f"The last checkpoint is untouched; {self.advice}"
        )

    def descend(self, batches: Sequence[Batch], backward: Callable[[Tensor], None]) -> dict[str, float]:
        """Gradients of a step, as if its batches were one.

        A loss is a mean over `weight` things. Each part's gradient is taken times its weight, and their sum divided by
        all weights.
        """
        figures, scale = Figures(), 0.0
        for batch in batches:
            loss, seen = self.loss_of(batch)
            scale = scale or loss.weight
            share = loss.weight / scale if scale else 0.0
            backward(loss.value if share == 1.0 else loss.value * share)
            figures.add(loss, seen)
        if len(batches) > 1 and scale:
            for parameter in self.module.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(scale / figures.total)
        return figures.means()

    def whole_loss(self, batches: Sequence[Batch]) -> Loss:
        """The loss of all batches with its graph, for a method that moves the weights by itself.

        The first call is with the step's weights: it is checked, and the source sees it. Later ones try others, which
        the method itself accepts or not.
        """
        figures, value, constraint = Figures(), None, None
        first = self._seen is None
        for batch in batches:
            if first:
                loss, seen = self.loss_of(batch)
            else:
                loss, seen = self.objective.loss(self.module(batch, self.objective.needs), batch), {}
            value = loss.value * loss.weight if value is None else value + loss.value * loss.weight
            if loss.constraint is not None:
                more = loss.constraint * loss.weight
                constraint = more if constraint is None else constraint + more
            figures.add(loss, seen)
        assert value is not None, "a step has at least one batch"
        total, means = figures.total or 1.0, figures.means()
        self._seen = means if self._seen is None else self._seen
        held = None if constraint is None else constraint / total
        return Loss(value / total, self._seen | means, figures.total, constraint=held)
