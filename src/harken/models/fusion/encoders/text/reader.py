"""An encoder of texts that puts recurrent layers on a table of tokens."""

from jaxtyping import Int
from torch import Tensor

from harken.models.fusion.encoders.encoder import Encoder
from harken.models.fusion.encoders.text.subwords import Subwords
from harken.models.fusion.recurrent import Cell, Recurrent
from harken.models.fusion.stream import Stream, lengths_or_all


class RecurrentReader(Encoder):
    """`text_ids` (B, T), `text_lengths` (B,) -> states (B, T, D)."""

    def __init__(self, cell: Cell, settings: Subwords, bidirectional: bool):
        super().__init__()
        self.width = settings.hidden
        self.table = settings.table()
        self.recurrent = Recurrent(cell, settings.hidden, settings.hidden, settings.layers, bidirectional)

    def forward(self, media: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None = None) -> Stream:
        """States of B texts, one a token."""
        stream: Stream = self.recurrent(self.table(media), lengths_or_all(media, lengths))
        return stream
