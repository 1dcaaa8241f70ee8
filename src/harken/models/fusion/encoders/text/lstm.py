"""Long short-term memory over the family's tokens, from both sides (Hochreiter and Schmidhuber 1997)."""

from dataclasses import dataclass

from harken.models.fusion.encoders.text.reader import BothWays, RecurrentReader


@dataclass(frozen=True)
class Lstm(BothWays):
    """Long short-term memory, with forget gates (Gers 2000)."""

    def build(self) -> RecurrentReader:
        """The encoder, with random weights."""
        return RecurrentReader("lstm", self)
