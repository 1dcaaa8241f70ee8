"""Gated recurrent units over the family's tokens, from both sides (1406.1078, section 2.3)."""

from dataclasses import dataclass

from harken.models.fusion.encoders.text.reader import RecurrentReader
from harken.models.fusion.encoders.text.subwords import Subwords
from harken.models.fusion.recurrent import halves


@dataclass(frozen=True)
class Gru(Subwords):
    """Gated recurrent units.

    Attributes:
        bidirectional: whether the text is also read from its end; each direction has half of `hidden` then.
    """

    bidirectional: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        halves(self.hidden, self.bidirectional, "text")

    def build(self) -> RecurrentReader:
        """The encoder, with random weights."""
        return RecurrentReader("gru", self, self.bidirectional)
