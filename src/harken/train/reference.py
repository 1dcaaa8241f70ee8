"""What the reference says of fixed completions: computed once, remembered, and to the same bits after a resume."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harken.data.batch import Batch, collate, pad_right
from harken.data.encoded import EncodedPrompts
from harken.models.model import Model
from harken.types import Completion, Prompt

Row = tuple[str, str]
"""A prompt's id and a completion's: mostly the one that answers it."""


class FixedRows:
    """Prompts and completions that are written already, as batches; each prompt of a batch is computed once.

    Args:
        prompts: by id.
        completions: those that are learnt from.
        encoded: prompts as the model reads them.
    """

    def __init__(self, prompts: Mapping[str, Prompt], completions: Sequence[Completion], encoded: EncodedPrompts):
        self.prompts = prompts
        self.encoded = encoded
        self.ids = {c.id: encoded.processor.encode_completion(c) for c in completions}

    def batch(self, rows: Sequence[Row], labels: Mapping[str, Tensor] | None = None) -> Batch:
        """The batch of N rows, in their order."""
        asked = {name: place for place, name in enumerate(dict.fromkeys(prompt for prompt, _ in rows))}
        return collate(
            self.encoded([self.prompts[name] for name in asked]),
            [self.ids[completion] for _, completion in rows],
            [asked[prompt] for prompt, _ in rows],
            self.encoded.processor.pad_id,
            labels,
        )


class ReferenceLogprobs:
    """Log-probabilities of fixed rows under the reference.

    What a row's last bits are depends on the rows that go through the model with it. Which those are is settled
    beforehand and not by what was asked before, so that a resumed run, which has to compute them again, gets the same.

    Args:
        reference: what is asked, once a row.
        rows: prompts and completions.
        groups: which rows go through the model together; a row belongs to the first group that names it.
    """

    def __init__(self, reference: Model, rows: FixedRows, groups: Sequence[Sequence[Row]]):
        self.reference = reference
        self.rows = rows
        self._group: dict[Row, int] = {}
        self._members: list[list[Row]] = []
        for number, group in enumerate(groups):
            mine = [row for row in dict.fromkeys(group) if row not in self._group]
            self._members.append(mine)
            self._group.update(dict.fromkeys(mine, number))
        self._known: dict[Row, Tensor] = {}

    def __call__(self, rows: Sequence[Row], length: int) -> Tensor:
        """Log-probabilities of N rows, (N, `length`), 0 after each completion's end."""
        for row in rows:
            if row not in self._known:
                self._compute(self._members[self._group[row]])
        return pad_right([self._known[row] for row in rows], 0.0, length)

    @torch.no_grad()
    def _compute(self, members: Sequence[Row]) -> None:
        batch = self.rows.batch(members).to(self.reference.trunk.device)
        logprobs = self.reference(batch, frozenset({"logprobs"})).logprobs
        assert logprobs is not None, "it was asked for"
        lengths = batch.completions.mask.sum(1).tolist()
        for row, values, length in zip(members, logprobs.cpu(), lengths, strict=True):
            self._known[row] = values[:length].clone()
