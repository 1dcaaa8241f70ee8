"""Early stopping on a held-out measure, and the best weights kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from harken.algorithms.objective import Objective
from harken.data.batch import Batch
from harken.data.seeds import derive

T = TypeVar("T")


@dataclass(frozen=True)
class StoppingConfig:
    """When training is measured, and when it ends early.

    Attributes:
        every: steps between measures; 0 never measures.
        patience: measures without a new best after which training ends; 0 never ends it early.
        keep_best: whether the weights of the best measure are what training leaves.
        share: of the items, that is held out to measure on.
    """

    every: int = 0
    patience: int = 0
    keep_best: bool = True
    share: float = 0.1

    def __post_init__(self) -> None:
        if min(self.every, self.patience) < 0:
            raise ValueError(f"stopping.every and stopping.patience count from 0 up, not {self}")
        if not 0 < self.share < 1:
            raise ValueError(f"stopping.share is a share between 0 and 1, not {self.share}")
        if self.patience and not self.every:
            raise ValueError("stopping.patience counts measures: say stopping.every too")


def held_out(
    items: Sequence[T], prompt_of: Callable[[T], str], config: StoppingConfig, seed: int
) -> tuple[Sequence[T], Sequence[T]]:
    """What is measured on, and what is learnt from; all is learnt from where nothing is measured.

    Args:
        items: what there is.
        prompt_of: an item's prompt, by id: what is said of one prompt is held out together.
        config: how large a share.
        seed: of the choice.
    """
    names = list(dict.fromkeys(prompt_of(item) for item in items))
    if not config.every or len(names) < 2:
        return (), items
    count = min(max(1, round(config.share * len(names))), len(names) - 1)
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(derive(seed, "held out"))).tolist()
    chosen = {names[place] for place in order[:count]}
    return [i for i in items if prompt_of(i) in chosen], [i for i in items if prompt_of(i) not in chosen]


def held_out_likelihood(
    module: nn.Module, objective: Objective, batch_of: Callable[[Sequence[int]], Batch], count: int, size: int
) -> Callable[[], float]:
    """A measure: minus the mean loss over items that are not learnt from.

    Args:
        module: called as `module(batch, needs)`.
        objective: the loss.
        batch_of: makes a batch of items by number.
        count: how many items are held out, numbered from 0.
        size: items at a time.
    """

    def measure() -> float:
        total, weights = 0.0, 0.0
        for start in range(0, count, size):
            batch = batch_of(range(start, min(start + size, count))).to(next(module.parameters()).device)
            loss = objective.loss(module(batch, objective.needs), batch)
            total, weights = total + float(loss.value) * loss.weight, weights + loss.weight
        return -total / max(weights, 1.0)

    return measure


@dataclass
class Watch:
    """The best measure so far.

    Attributes:
        config: when to measure and to stop.
        measure: larger is better; None never measures.
        best: the best measure; None before the first.
        best_step: steps done then.
        worse: measures since then.
    """

    config: StoppingConfig
    measure: Callable[[], float] | None
    best: float | None = None
    best_step: int = 0
    worse: int = 0

    def due(self, done: int, total: int) -> bool:
        """Whether to measure after so many steps."""
        return bool(self.measure and self.config.every and (done % self.config.every == 0 or done == total))

    def look(self, done: int) -> tuple[float, bool]:
        """Measure: the figure, and whether it is the best so far."""
        assert self.measure is not None
        figure = self.measure()
        if self.best is None or figure > self.best:
            self.best, self.best_step, self.worse = figure, done, 0
            return figure, True
        self.worse += 1
        return figure, False

    @property
    def ended(self) -> bool:
        """Whether patience has run out."""
        return bool(self.config.patience) and self.worse >= self.config.patience

    def state(self) -> dict[str, float | int | None]:
        """What a checkpoint keeps."""
        return {"best": self.best, "best_step": self.best_step, "worse": self.worse}

    def restore(self, state: dict[str, float | int | None]) -> None:
        """Put back what `state` gave."""
        self.best = state["best"]
        self.best_step, self.worse = int(state["best_step"] or 0), int(state["worse"] or 0)
