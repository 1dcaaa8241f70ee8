"""Examples with targets as batches: what heads learn from. Each step's batch is a function of (seed, step)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harken.data.batch import Batch, EncodedPrompt, collate_examples
from harken.data.bounds import at_least
from harken.data.seeds import derive
from harken.train.sources import Stateless, parts, take

Encoding = Callable[[Sequence[int]], list[EncodedPrompt]]
"""Encoded prompts by their numbers."""
Change = Callable[[Mapping[str, Tensor], Sequence[int], int, torch.Generator], dict[str, Tensor]]
"""Media tensors, the numbers of their examples and the epoch to media tensors: what augmentation is."""


@dataclass(frozen=True)
class ExamplesConfig:
    """How much training on examples there is.

    Attributes:
        epochs: how often each example is seen.
        batch: examples a step.
        accumulate: parts in which a step goes through the model, to save memory.
    """

    epochs: float = 10.0
    batch: int = 128
    accumulate: int = 1

    def __post_init__(self) -> None:
        at_least(self, "examples", epochs=0, batch=1, accumulate=1)


class Examples(Stateless):
    """Examples, `config.batch` a step, in a new order each epoch.

    Args:
        encoding: the prompts by number.
        targets: by head, each with a row for each example; -1 or a number that is not finite where there is none.
        config: how much.
        seed: of the order and of what is changed.
        pad_id: the id that fills.
        change: what is done to media before they are learnt from.
    """

    def __init__(
        self,
        encoding: Encoding,
        targets: Mapping[str, Tensor],
        config: ExamplesConfig,
        seed: int,
        pad_id: int,
        change: Change | None = None,
    ):
        counts = {name: len(rows) for name, rows in targets.items()}
        if not counts or len(set(counts.values())) != 1 or not next(iter(counts.values())):
            raise ValueError(f"targets need the same number of rows for each head, above 0, not {counts}")
        self.count = next(iter(counts.values()))
        self.encoding, self.targets, self.config, self.seed = encoding, dict(targets), config, seed
        self.pad_id, self.change = pad_id, change

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return round(self.config.epochs * self.count / min(self.config.batch, self.count))

    def batches(self, step: int) -> list[Batch]:
        """One step's examples, changed as augmentation says."""
        size = min(self.config.batch, self.count)
        chosen = take(self.count, size, step, self.seed, "examples")
        generator = torch.Generator().manual_seed(derive(self.seed, "augmentation", step))
        epoch = step * size // self.count
        return [self._changed(part, epoch, generator) for part in parts(chosen, self.config.accumulate)]

    def _changed(self, chosen: Sequence[int], epoch: int, generator: torch.Generator) -> Batch:
        batch = self.batch_of(chosen)
        if self.change is None:
            return batch
        media = self.change(batch.prompts.media, chosen, epoch, generator)
        return replace(batch, prompts=replace(batch.prompts, media=media, media_keys=("",) * len(chosen)))

    def batch_of(self, chosen: Sequence[int]) -> Batch:
        """Some examples, by number, as they are."""
        rows = torch.as_tensor(list(chosen))
        labels = {name: targets[rows] for name, targets in self.targets.items()}
        return collate_examples(self.encoding(chosen), self.pad_id, labels)
