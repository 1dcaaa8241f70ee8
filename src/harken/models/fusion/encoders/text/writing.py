"""What a text encoder is: the words of a prompt, as one medium, to a stream of states."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from torch import nn
from transformers import PreTrainedTokenizerBase

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder


class TextEncoder(Encoder, ABC):
    """An encoder of ids.

    Attributes:
        table: asked for the embeddings of the ids as they are, (n, T) -> (n, T, D).
    """

    table: nn.Module

    @property
    def words(self) -> nn.Module:
        """The table."""
        return self.table


@dataclass(frozen=True)
class Writing(ABC):
    """The settings that every text encoder has.

    Attributes:
        max_tokens: longest text, in tokens of the encoder's tokenizer; a longer one is refused.
    """

    max_tokens: int = 512

    def __post_init__(self) -> None:
        at_least(self, "text", max_tokens=1)

    @final
    def tokens(self, length: int) -> int:
        """States of a text of so many tokens: one a token."""
        return length

    @property
    @abstractmethod
    def brings_tokenizer(self) -> bool:
        """Whether it reads with a tokenizer of its own, and not with the family's."""

    @abstractmethod
    def fitted(self, corpus: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> "Fitted":
        """What a new model needs of it, once there is a corpus.

        Args:
            corpus: texts such as the model will read.
            tokenizer: the family's own, as it came to be.

        Raises:
            ValueError: if files that the settings name are not there or not whole.
        """

    @abstractmethod
    def build(self) -> Encoder:
        """The encoder, with random weights; its settings are those that `fitted` gave."""


def as_it_is(encoder: Encoder) -> None:
    """A new encoder begins with its random weights."""


@dataclass(frozen=True)
class Fitted:
    """A text encoder's settings with all that a corpus and files say.

    Attributes:
        settings: of which a model can be built without the corpus and the files.
        tokenizer: what it reads with; None for the family's own.
        start: gives a new encoder the weights that it begins with.
    """

    settings: Writing
    tokenizer: PreTrainedTokenizerBase | None = None
    start: Callable[[Encoder], None] = as_it_is
