"""What the recurrent encoders of texts have in common: layers on a table of tokens, read from one side or both."""

from abc import ABC
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from harken.models.fusion.encoders.text.subwords import Subwords
from harken.models.fusion.encoders.text.writing import TextEncoder
from harken.models.fusion.recurrent import Cell, Recurrent, halves
from harken.models.fusion.stream import Stream, lengths_or_all


@dataclass(frozen=True)
class BothWays(Subwords, ABC):
    """Recurrent layers.

    Attributes:
        bidirectional: whether the text is also read from its end; each direction has half of `hidden` then.
    """

    bidirectional: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        halves(self.hidden, self.bidirectional, "text")


class RecurrentReader(TextEncoder):
    """`text_ids` (B, T), `text_lengths` (B,) -> states (B, T, D)."""

    def __init__(self, cell: Cell, settings: BothWays):
        super().__init__()
        self.width = settings.hidden
        self.table = settings.table()
        self.recurrent = Recurrent(cell, settings.hidden, settings.hidden, settings.layers, settings.bidirectional)

    def forward(self, media: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B texts, one a token."""
        stream: Stream = self.recurrent(self.table(media), lengths_or_all(media, lengths))
        return stream
