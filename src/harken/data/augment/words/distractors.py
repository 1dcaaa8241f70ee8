"""Words beside the point: a sentence before or behind what is asked, that asks nothing and says no number."""

import re
from dataclasses import dataclass

import numpy as np

NUMBER = re.compile(r"\d")


@dataclass(frozen=True)
class Distractors:
    """A sentence that has nothing to do with the question.

    Attributes:
        sentences: what may be said.
        before: whether it may stand before the question.
        behind: whether it may stand behind it.

    Raises:
        ValueError: if there are none, they say a number, or they may stand nowhere.
    """

    sentences: tuple[str, ...] = (
        "The weather is fine today.",
        "I had tea this morning.",
        "My neighbour has a dog.",
        "The train was late again.",
        "It is quiet here.",
        "We went for a walk.",
    )
    before: bool = True
    behind: bool = True

    def __post_init__(self) -> None:
        if not self.sentences or any(NUMBER.search(sentence) for sentence in self.sentences):
            raise ValueError(
                "perturb.distractors.sentences: some sentences without numbers, which could be taken for a part of the "
                f"question, not {list(self.sentences)}"
            )
        if not (self.before or self.behind):
            raise ValueError("perturb.distractors: say before, behind or both; a sentence must stand somewhere")

    def __call__(self, text: str, chance: np.random.Generator) -> str:
        """The text with a sentence beside it."""
        said = self.sentences[int(chance.integers(len(self.sentences)))]
        first = self.before and not (self.behind and bool(chance.integers(2)))
        return f"{said} {text}" if first else f"{text} {said}"
