"""A matching head: do these two media belong together? Asked of the shared state (ALBEF, 2107.07651, section 3.2)."""

from collections.abc import Sequence
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

    def build(self, width: int, modalities: Sequence[str]) -> "MatchHead":
        """The head, with random weights.

        Raises:
            ValueError: if there are not two modalities, or not this one.
        """
        swapped = self.swapped or modalities[-1]
        if len(modalities) < 2 or swapped not in modalities:
            raise ValueError(
                f"heads: match needs two modalities, one of them swapped={swapped!r}; the model has "
                f"{', '.join(modalities)}"
            )
        return MatchHead(width, swapped)


class MatchHead(Head):
    """`matched` and, while it learns, `mismatched` (B,): logits of belonging together."""

    reads_streams = True

    def __init__(self, width: int, swapped: str):
        super().__init__()
        self.swapped = swapped
        self.read = nn.Linear(width, 1)

    def forward(self, view: View) -> dict[str, Tensor]:
        """The logit of each row, and of each row with its neighbour's medium."""
        out = {"matched": self.read(view.shared)[:, 0]}
        stream = view.streams[self.swapped]
        if self.training and len(stream.real) > 1:
            order = torch.arange(len(stream.real), device=stream.real.device).roll(1)
            other = {**view.streams, self.swapped: Stream(stream.states[order], stream.real[order])}
            out["mismatched"] = self.read(view.again(other))[:, 0]
        return out
