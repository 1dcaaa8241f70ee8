"""A classification head: one of C classes, from the shared state."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from torch import Tensor, nn

from harken.data.bounds import share
from harken.models.fusion.heads.head import Head, HeadSettings, View


@dataclass(frozen=True)
class Classify(HeadSettings):
    """One of several classes.

    Attributes:
        classes: how many, 2 or more; or their names, which targets may then be given by.
        label_smoothing: share of each target that is spread over all classes (1512.00567, section 7).
        class_weights: by what the loss of each class is multiplied, in the order of the classes, where some are rare or
            matter more; weights with a mean of 1 leave the loss about as large as it was.
    """

    classes: int | tuple[str, ...] = 2
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        share(self, "heads", "label_smoothing")
        if self.count < 2:
            raise ValueError(f"heads: classes must be 2 or more, not {self.classes}")
        if isinstance(self.classes, tuple) and len(set(self.classes)) != self.count:
            raise ValueError(f"heads: classes are names that differ, not {', '.join(self.classes)}")
        weights = self.class_weights
        if weights and (len(weights) != self.count or not all(0 <= w < inf for w in weights) or not any(weights)):
            raise ValueError(f"heads: class_weights are {self.count} numbers from 0 up, one a class, not {weights}")

    @property
    def count(self) -> int:
        """How many classes there are."""
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    def build(self, width: int, modalities: Sequence[str]) -> "ClassifyHead":
        """The head, with random weights."""
        return ClassifyHead(width, self.count)


class ClassifyHead(Head):
    """`logits` (B, C) of the shared state."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.read = nn.Linear(width, classes)

    def forward(self, view: View) -> dict[str, Tensor]:
        """The logits of each class."""
        return {"logits": self.read(view.shared)}
