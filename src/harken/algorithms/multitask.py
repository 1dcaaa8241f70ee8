"""Several tasks at once: a weighted sum of their losses, the weights fixed or learnt with them.

A learnt weight is an uncertainty (1705.07115, equations 7 and 10): with s = log sigma^2, a task's loss L counts
exp(-s) L + s / 2, L being a negative log-likelihood (half the squared error for regression).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from harken.algorithms.objective import Loss
from harken.algorithms.surrogate import masked_mean
from harken.algorithms.task import Task
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class MultiTask:
    """The tasks of a model's heads.

    A task's loss is a mean over all rows of the batch, those without a target adding nothing: so parts of a step
    together give what the whole would. Language is a mean over tokens.

    Attributes:
        tasks: the loss of each head, by its name.
        weights: how much each counts; None for one that is learnt. A head that is not named counts 1.
        language: the name of the language head, where it is learnt too.
    """

    tasks: Mapping[str, Task]
    weights: Mapping[str, float | None] = field(default_factory=dict)
    language: str | None = None
    heads_only: ClassVar[frozenset[str]] = frozenset({"heads"})
    with_language: ClassVar[frozenset[str]] = frozenset({"heads", "logprobs"})

    @property
    def needs(self) -> frozenset[str]:
        """The outputs of the heads and, with a language head, log-probabilities."""
        return self.heads_only if self.language is None else self.with_language

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """The weighted sum; each task's own figures are named `task/figure`."""
        assert outputs.heads is not None, "the loop gives what `needs` names"
        rows = len(batch.completions.prompt)
        value: Tensor | None = None
        metrics: dict[str, float] = {}
        counted: dict[str, float] = {}
        for name, task in self.tasks.items():
            mine = {k.removeprefix(f"{name}."): v for k, v in outputs.heads.items() if k.startswith(f"{name}.")}
            made = task.loss(mine, batch.labels.get(name))
            weighted = self._weighted(name, made.total / max(rows, 1), made.rows > 0, outputs.heads)
            value = weighted if value is None else value + weighted
            figures = {"loss": made.total.item() / max(made.rows, 1), **made.metrics} if made.rows else {}
            metrics |= {f"{name}/{key}": figure for key, figure in figures.items()}
            counted |= dict.fromkeys((f"{name}/{key}" for key in figures), float(made.rows))
        if self.language is not None:
            assert outputs.logprobs is not None, "the loop gives what `needs` names"
            spoken = -masked_mean(outputs.logprobs, batch.completions.mask)
            metrics[f"{self.language}/loss"] = spoken.item()
            weighted = self._weighted(self.language, spoken, True, outputs.heads)
            value = weighted if value is None else value + weighted
        assert value is not None, "a model has a head"
        return Loss(value, metrics, float(rows), counted)

    def _weighted(
        self, name: str, loss: Float[Tensor, ""], counts: bool, heads: Mapping[str, Tensor]
    ) -> Float[Tensor, ""]:
        weight = self.weights.get(name, 1.0)
        if weight is not None:
            return loss * weight
        s = heads[f"{name}.log_variance"]
        # A task without data says nothing of its own uncertainty.
        return torch.exp(-s) * loss + s / 2 if counts else loss + 0.0 * s
