"""A regression head: numbers, from the shared state."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.heads.head import Head, HeadSettings, View


@dataclass(frozen=True)
class Regress(HeadSettings):
    """One number or several.

    Attributes:
        outputs: how many numbers.
        mean: of the targets, which the head need not learn then.
        spread: of the targets; the loss is of errors in units of it.
    """

    outputs: int = 1
    mean: float = 0.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "heads", outputs=1, spread=1e-12)

    def build(self, width: int, modalities: Sequence[str]) -> "RegressHead":
        """The head, with random weights."""
        return RegressHead(width, self)


class RegressHead(Head):
    """`values` (B, R) of the shared state."""

    def __init__(self, width: int, settings: Regress):
        super().__init__()
        self.settings = settings
        self.read = nn.Linear(width, settings.outputs)

    def forward(self, view: View) -> dict[str, Tensor]:
        """The numbers, in the targets' units."""
        return {"values": self.read(view.shared) * self.settings.spread + self.settings.mean}
