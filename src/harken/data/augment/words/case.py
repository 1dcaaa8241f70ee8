"""Small letters, capitals, or each the other way."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """Letters in another case.

    Attributes:
        lower: whether a text may be put in small letters.
        upper: in capitals.
        swapped: each letter in its other case.
    """

    lower: bool = True
    upper: bool = True
    swapped: bool = True

    def __call__(self, text: str, chance: np.random.Generator) -> str:
        """The text in one of the allowed ways by lot; as it is, if all of these leave it so."""
        ways = ((self.lower, text.lower()), (self.upper, text.upper()), (self.swapped, text.swapcase()))
        options = [made for allowed, made in ways if allowed and made != text]
        return options[int(chance.integers(len(options)))] if options else text
