"""What one modality says in a batch: states of different number in each row, and which of them are real."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


@dataclass(frozen=True)
class Stream:
    """States, filled up with zeros on the right.

    Attributes:
        states: (B, M, D); M may be 0.
        real: which of them are states and no filling, (B, M).
    """

    states: Float[Tensor, "B M D"]
    real: Bool[Tensor, "B M"]

    @property
    def present(self) -> Bool[Tensor, " B"]:
        """The rows that have any state."""
        return self.real.any(1)

    def rows(self) -> Float[Tensor, "R D"]:
        """The real states, row after row."""
        return self.states[self.real]

    def mean(self) -> Float[Tensor, "B D"]:
        """The mean of each row's states; zeros where it has none."""
        total = (self.states * self.real[..., None]).sum(1)
        return total / self.real.sum(1, keepdim=True).clamp(min=1)

    def only(self, kept: Bool[Tensor, " B"]) -> "Stream":
        """The same, with nothing in the other rows."""
        real = self.real & kept[:, None]
        return Stream(self.states * real[..., None], real)


def from_rows(rows: Float[Tensor, "R D"], counts: Int[Tensor, " B"]) -> Stream:
    """Real states, row after row, as a stream.

    Args:
        rows: the states.
        counts: how many belong to each row of the batch.
    """
    longest = int(counts.max()) if len(counts) else 0
    real = torch.arange(longest, device=rows.device) < counts[:, None]
    states = rows.new_zeros(len(counts), longest, rows.shape[-1])
    return Stream(states.masked_scatter(real[..., None], rows), real)


def joined(streams: list[Stream]) -> Stream:
    """Several streams of the same rows, one behind the other."""
    return Stream(torch.cat([s.states for s in streams], 1), torch.cat([s.real for s in streams], 1))


def lengths_or_all(media: Shaped[Tensor, "B T ..."], lengths: Int[Tensor, " B"] | None) -> Int[Tensor, " B"]:
    """How much of each of B media is real: all of it, if it is not said."""
    if lengths is not None:
        return lengths
    return torch.full((media.shape[0],), media.shape[1], device=media.device)
