"""A matching head: do these two media belong together? Asked of the shared state (ALBEF, 2107.07651, section 3.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harken.models.fusion.heads.head import Head, HeadSettings, View
from harken.models.fusion.stream import Stream


@dataclass(frozen=True)
class Match(HeadSettings):
    """Whether a modality belongs to the rest of its row.

    Attributes:
        swapped: which modality is taken from another row for what does not match; the last one if not said.
    """

    swapped: str | None = None

    def asks(self, placeholders: Mapping[str, int], modalities: Sequence[str]) -> bool:
        """Whether it can be asked of a prompt: it has what is swapped, and another modality that this may belong to.

        Args:
            placeholders: of each modality in the prompt.
            modalities: of the model.
        """
        present = {modality for modality, count in placeholders.items() if count}
        return (self.swapped or modalities[-1]) in present and len(present) > 1

    def build(self, width: int, modalities: Sequence[str]) -> "MatchHead":
        """The head, with random weights.

        Raises:
            ValueError: if there are not two modalities, or not this one.
        """
        swapped = self.swapped or "".join(modalities[-1:])
        if len(modalities) < 2 or swapped not in modalities:
            raise ValueError(
                f"heads: match needs two modalities, one of them swapped={swapped!r}; the model has "
                f"{', '.join(modalities)}"
            )
        return MatchHead(width, swapped)


class MatchHead(Head):
    """`matched` and `mismatched` (B,): logits of belonging together, of rows as they are and with another's medium.

    `there` (B,) says of which rows both can be asked: the row has the swapped modality and another one, and there is
    another row that has the swapped one too.
    """

    reads_streams = True

    def __init__(self, width: int, swapped: str):
        super().__init__()
        self.swapped = swapped
        self.read = nn.Linear(width, 1)

    def forward(self, view: View) -> dict[str, Tensor]:
        """The logit of each row, and of each row with the medium of the one above it."""
        stream = view.streams[self.swapped]
        order = torch.arange(len(stream.real), device=stream.real.device).roll(1)
        swapped = {**view.streams, self.swapped: Stream(stream.states[order], stream.real[order])}
        rest = [other.present for modality, other in view.streams.items() if modality != self.swapped]
        there = stream.present & stream.present[order] & torch.stack(rest).any(0)
        return {
            "matched": self.read(view.shared)[:, 0],
            "mismatched": self.read(view.again(swapped))[:, 0],
            "there": there if len(order) > 1 else torch.zeros_like(there),
        }
