"""Gated recurrent units over the family's tokens, from both sides (1406.1078, section 2.3)."""

from dataclasses import dataclass

from harken.models.fusion.encoders.text.reader import BothWays, RecurrentReader


@dataclass(frozen=True)
class Gru(BothWays):
    """Gated recurrent units."""

    def build(self) -> RecurrentReader:
        """The encoder, with random weights."""
        return RecurrentReader("gru", self)
