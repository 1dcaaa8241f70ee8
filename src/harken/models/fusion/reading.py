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


def added_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The ids that are no words but what a tokenizer puts around them; an unknown word is one, if it has its own id."""
    around = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.cls_token_id)
    own = {tokenizer.unk_token_id} - {*around, tokenizer.pad_token_id}
    return frozenset(tokenizer.all_special_ids) - own


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

    def pieces(self, rendered: str) -> list[tuple[tuple[int, ...], str]]:
        """The words of a conversation as they were written: which ids make a piece, and its text.

        A piece is an id's, or several ids' where a letter is cut in two. Ids that the tokenizer adds are of none.
        """
        words = self.words(rendered)
        if not getattr(self.tokenizer, "is_fast", False):  # some of Hugging Face's do not tell where a token stands
            ids = self.tokenizer(words)["input_ids"]
            special = added_ids(self.tokenizer)
            return [((n,), f"{self.tokenizer.decode([one])} ") for n, one in enumerate(ids) if one not in special]
        made: list[tuple[list[int], int, int]] = []
        for n, (start, end) in enumerate(self.tokenizer(words, return_offsets_mapping=True)["offset_mapping"]):
            if start == end:
                continue
            if made and start < made[-1][2]:
                made[-1] = ([*made[-1][0], n], made[-1][1], max(end, made[-1][2]))
            else:
                made.append(([n], start, end))
        ends = [start for _, start, _ in made[1:]] + [len(words)]
        return [(tuple(ids), words[start:upto]) for (ids, start, _), upto in zip(made, ends, strict=True)]

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
