"""Slips of the fingers: two letters swapped, one left out, one doubled. A word's ends stay, so it is still read."""

import re
from dataclasses import dataclass

import numpy as np

from harken.data.bounds import at_least, share

WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Typos:
    """Typos in some words.

    Numbers stay as they are, and so do scripts whose letters know no capitals, in which one letter is a word.

    Attributes:
        rate: share of the words that get one; one word at least.
        shortest: letters that a word must have.
    """

    rate: float = 0.34
    shortest: int = 4

    def __post_init__(self) -> None:
        share(self, "perturb.typos", "rate")
        at_least(self, "perturb.typos", shortest=4)

    def __call__(self, text: str, chance: np.random.Generator) -> str:
        """The text with typos; as it is, if it has no word that is long enough.

        Args:
            text: any.
            chance: draws which words, where in them, and what.
        """
        words = [found for found in WORD.finditer(text) if self._is_typed(found.group())]
        count = min(len(words), max(1, round(self.rate * len(words))))
        for number in sorted(chance.permutation(len(words))[:count].tolist(), reverse=True):
            start, end = words[number].span()
            text = text[:start] + _slipped(text[start:end], chance) + text[end:]
        return text

    def _is_typed(self, word: str) -> bool:
        return len(word) >= self.shortest and all(letter.lower() != letter.upper() for letter in word)


def _slipped(word: str, chance: np.random.Generator) -> str:
    at, way = int(chance.integers(1, len(word) - 2)), int(chance.integers(3))
    if way == 0 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if way == 1 else word[: at + 1] + word[at:]
