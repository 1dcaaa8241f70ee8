"""A classification head: one of C classes, from the shared state."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from harken.data.bounds import share
from harken.models.fusion.heads.head import Head, HeadSettings, View


@dataclass(frozen=True)
class Classify(HeadSettings):
    """One of several classes.

    Attributes:
        classes: how many, 2 or more; or their names, which targets may then be given by.
        label_smoothing: share of each target that is spread over all classes (1512.00567, section 7).
    """

    classes: int | tuple[str, ...] = 2
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        share(self, "heads", "label_smoothing")
        if self.count < 2:
            raise ValueError(f"heads: classes must be 2 or more, not {self.classes}")
        if isinstance(self.classes, tuple) and len(set(self.classes)) != self.count:
            raise ValueError(f"heads: classes are names that differ, not {', '.join(self.classes)}")

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
