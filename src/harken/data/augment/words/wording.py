"""Other words for the same question. Nobody can guess these: the recipe says which sentences mean the same."""

import re
from dataclasses import dataclass

import numpy as np

SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Wording:
    """Sentences and what can be said in their place.

    A sentence may have slots in braces: `Add {n}.` is any text of this form, and what stands in the slot is kept.

    Attributes:
        of: sentences that all mean the same.
        to: others that mean it too.

    Raises:
        ValueError: if one of the two is empty, or they have other slots.
    """

    of: tuple[str, ...]
    to: tuple[str, ...]

    def __post_init__(self) -> None:
        slots = {tuple(sorted(SLOT.findall(sentence))) for sentence in (*self.of, *self.to)}
        if not self.of or not self.to or len(slots) > 1:
            raise ValueError(
                f"perturb.wordings: `of` and `to` are sentences with the same slots, not {list(self.of)} and "
                f"{list(self.to)}"
            )

    def __call__(self, text: str, chance: np.random.Generator) -> str | None:
        """One of `to` in the place of a text that is one of `of`, white space at its ends kept; None if it is none."""
        for sentence in self.of:
            found = re.fullmatch(_pattern(sentence), text.strip(), re.DOTALL)
            if found is not None:
                said = self.to[int(chance.integers(len(self.to)))]
                for slot, filling in found.groupdict().items():
                    said = said.replace(f"{{{slot}}}", filling)
                before, _, after = text.partition(text.strip())
                return before + said + after
        return None


def _pattern(sentence: str) -> str:
    pieces = SLOT.split(sentence)
    seen: set[str] = set()
    out = ""
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            out += re.escape(piece)
        else:
            out += f"(?P={piece})" if piece in seen else f"(?P<{piece}>.+?)"
            seen.add(piece)
    return out
