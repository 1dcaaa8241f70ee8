"""Examples with targets as batches: what heads learn from. Each step's batch is a function of (seed, step)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harken.data.batch import Batch, EncodedPrompt, collate_examples
from harken.train.sources import Change, DemonstrationsConfig, Stateless, changed, parts, take

Encoding = Callable[[Sequence[int]], list[EncodedPrompt]]
"""Encoded prompts by their numbers."""


@dataclass(frozen=True)
class Table:
    """Examples with their targets.

    Attributes:
        encoding: the prompts by number.
        targets: by head, each with a row for each example; -1 or a number that is not finite where there is none.
        count: how many there are.
    """

    encoding: Encoding
    targets: Mapping[str, Tensor]
    count: int

    def __post_init__(self) -> None:
        for name, rows in self.targets.items():
            if len(rows) != self.count:
                raise ValueError(f"the targets of {name} have {len(rows)} rows, and there are {self.count} examples")

    def part(self, numbers: Sequence[int]) -> "Table":
        """Some of the examples, numbered anew."""
        chosen = torch.as_tensor(list(numbers), dtype=torch.long)
        targets = {name: rows[chosen] for name, rows in self.targets.items()}
        return Table(lambda some: self.encoding([numbers[i] for i in some]), targets, len(numbers))

    def batch_of(self, chosen: Sequence[int], pad_id: int) -> Batch:
        """Some examples, by number, as they are."""
        rows = torch.as_tensor(list(chosen), dtype=torch.long)
        labels = {name: targets[rows] for name, targets in self.targets.items()}
        return collate_examples(self.encoding(chosen), pad_id, labels)


class Examples(Stateless):
    """Examples, `config.batch` a step, in a new order each epoch.

    Args:
        table: the examples.
        config: how much.
        seed: of the order and of what is changed.
        pad_id: the id that fills.
        change: what is done to media before they are learnt from.

    Raises:
        ValueError: if there are no examples.
    """

    def __init__(
        self, table: Table, config: DemonstrationsConfig, seed: int, pad_id: int, change: Change | None = None
    ):
        if not table.count:
            raise ValueError("there are no examples to learn from")
        self.table, self.config, self.seed = table, config, seed
        self.pad_id, self.change = pad_id, change

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.config.steps

    def batches(self, step: int) -> list[Batch]:
        """One step's examples, changed as augmentation says."""
        count = self.table.count
        size = min(self.config.batch, count)
        chosen = take(count, size, step, self.seed, "examples")
        made = [self.table.batch_of(part, self.pad_id) for part in parts(chosen, self.config.accumulate)]
        return changed(made, self.change, step, self.seed)
