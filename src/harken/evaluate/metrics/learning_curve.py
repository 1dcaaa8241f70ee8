"""How much do more answers help? A figure on what is held out, learnt from nested subsets of the answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harken.data.seeds import derive
from harken.types import Answer

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """What was reached with so many answers."""

    answers: int
    rate: float
    low: float
    high: float


def nested(answers: Sequence[Answer], sizes: Sequence[int], seed: int) -> list[tuple[Answer, ...]]:
    """Subsets of the answers, each within the next, in the order of the answers.

    Which answers come first depends on (seed, key) alone: new answers do not change the order of the old ones.

    Args:
        answers: all of them.
        sizes: of the subsets; those above the number of answers are all answers, once.
        seed: of the draw.

    Raises:
        ValueError: if a size is below 1, or there are no answers.
    """
    if not answers or any(size < 1 for size in sizes):
        raise ValueError(f"a learning curve needs answers and sizes from 1 up, not {len(answers)} and {list(sizes)}")
    drawn = sorted(range(len(answers)), key=lambda place: derive(seed, "curve", answers[place].key))
    found = sorted({min(size, len(answers)) for size in sizes})
    return [tuple(answers[place] for place in sorted(drawn[:size])) for size in found]


def learning_curve(
    answers: Sequence[Answer], sizes: Sequence[int], seed: int, learnt: Callable[[tuple[Answer, ...]], T]
) -> list[tuple[int, T]]:
    """What `learnt` makes of nested subsets, by their sizes.

    Args:
        answers: what is learnt from; what measures must not be among them.
        sizes: see `nested`.
        seed: of the draw.
        learnt: learns from a subset and says how good it is.

    Raises:
        ValueError: as `nested`.
    """
    return [(len(subset), learnt(subset)) for subset in nested(answers, sizes, seed)]
