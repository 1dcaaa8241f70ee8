"""Long short-term memory over the family's tokens, from both sides (Hochreiter and Schmidhuber 1997)."""

from dataclasses import dataclass

from harken.models.fusion.encoders.text.reader import RecurrentReader
from harken.models.fusion.encoders.text.subwords import Subwords
from harken.models.fusion.recurrent import halves


@dataclass(frozen=True)
class Lstm(Subwords):
    """Long short-term memory, with forget gates (Gers 2000).

    Attributes:
        bidirectional: whether the text is also read from its end; each direction has half of `hidden` then.
    """

    bidirectional: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        halves(self.hidden, self.bidirectional, "text")

    def build(self) -> RecurrentReader:
        """The encoder, with random weights."""
        return RecurrentReader("lstm", self, self.bidirectional)
