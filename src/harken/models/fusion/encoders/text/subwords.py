"""What the text encoders have in common that read the family's own subword tokens."""

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn
from transformers import PreTrainedTokenizerBase

from harken.data.bounds import at_least
from harken.models.fusion.encoders.text.writing import Fitted, Writing


@dataclass(frozen=True)
class Subwords(Writing, ABC):
    """An encoder with a table of the family's tokens.

    Attributes:
        vocabulary: rows of the table; the number of the family's tokens, which a new model writes here.
        hidden: width of its states.
        layers: how many of its kind stand on each other.
    """

    vocabulary: int | None = None
    hidden: int = 64
    layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "text", vocabulary=1, hidden=1, layers=1)

    @property
    def brings_tokenizer(self) -> bool:
        """It reads with the family's."""
        return False

    def fitted(self, corpus: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Fitted:
        """The table has a row for each of the family's tokens.

        Raises:
            ValueError: if the settings say another number.
        """
        if self.vocabulary not in (None, len(tokenizer)):
            raise ValueError(
                f"text.vocabulary is {self.vocabulary}, but the tokenizer came to have {len(tokenizer)} tokens; leave "
                "it out, and say how many there may be in the language head's vocabulary"
            )
        return Fitted(replace(self, vocabulary=len(tokenizer)))

    def table(self) -> nn.Embedding:
        """The tokens' vectors, random."""
        if self.vocabulary is None:
            raise ValueError("text.vocabulary is not known before there is a tokenizer; build the model with one")
        return nn.Embedding(self.vocabulary, self.hidden)
