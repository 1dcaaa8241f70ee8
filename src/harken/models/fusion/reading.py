"""What a text encoder reads of a rendered conversation: its words, without control tokens and placeholders."""

import re
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from harken.data.batch import pad_right
from harken.models.fusion.encoders.text.writing import Writing
from harken.models.fusion.tokenizer import PLACEHOLDERS


class Reading:
    """The words of conversations as ids.

    Args:
        settings: the text encoder's.
        tokenizer: what it reads with.
        control: the tokens that are no words.
    """

    def __init__(self, settings: Writing, tokenizer: PreTrainedTokenizerBase, control: Sequence[str]):
        self.settings, self.tokenizer = settings, tokenizer
        self._control = re.compile("|".join(re.escape(token) for token in sorted(control, key=len, reverse=True)))

    def words(self, rendered: str) -> str:
        """What is said in a conversation, one turn behind the other, media left out."""
        pieces = (piece.strip() for piece in self._control.split(rendered))
        return " ".join(piece for piece in pieces if piece)

    def __call__(self, rendered: Sequence[str]) -> dict[str, Tensor]:
        """The ids of the conversations in which the placeholder of text stands, and how many each has.

        Raises:
            ValueError: if a conversation is longer than the encoder reads, or none of it is words.
        """
        rows = [self._ids(self.words(text)) for text in rendered if PLACEHOLDERS["text"] in text]
        if not rows:
            return {}
        return {"text_ids": pad_right(rows), "text_lengths": torch.tensor([len(row) for row in rows])}

    def _ids(self, words: str) -> Int[Tensor, " T"]:
        ids = torch.tensor(self.tokenizer(words)["input_ids"], dtype=torch.long)
        if not len(ids):
            raise ValueError(f"the text encoder's tokenizer finds no words in {words[:40]!r}; take the text out")
        if len(ids) > self.settings.max_tokens:
            raise ValueError(
                f"a text of {len(ids)} tokens is longer than the {self.settings.max_tokens} that the text encoder "
                "reads; shorten it, or raise model.encoders.text.max_tokens (a pretrained encoder has its own limit)"
            )
        return ids
