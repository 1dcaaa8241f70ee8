"""Recurrent layers over sequences of different length, for any modality.

Gated recurrent units (1406.1078), long short-term memory (Hochreiter and Schmidhuber 1997), from both sides (Schuster
and Paliwal 1997).
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from harken.models.fusion.stream import Stream

Cell = Literal["gru", "lstm"]


def halves(hidden: int, bidirectional: bool, where: str) -> None:
    """Refuse a width that two directions cannot share.

    Raises:
        ValueError: naming it.
    """
    if bidirectional and hidden % 2:
        raise ValueError(f"{where}.hidden must be even, not {hidden}: each of the two directions has half of it")


class Recurrent(nn.Module):
    """Vectors (B, T, C) to states (B, T, D), each row read to its own end and no further.

    Args:
        cell: gated recurrent units, or long short-term memory.
        channels: C.
        hidden: D; with two directions each has half of it.
        layers: how many stand on each other.
        bidirectional: whether it is also read from its end.
    """

    def __init__(self, cell: Cell, channels: int, hidden: int, layers: int, bidirectional: bool):
        super().__init__()
        kind = nn.GRU if cell == "gru" else nn.LSTM
        each = hidden // 2 if bidirectional else hidden
        self.layers = kind(channels, each, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, vectors: Float[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> Stream:
        """The states of each step; what lies beyond a row's length is not read, from neither side.

        Args:
            vectors: B sequences, filled up on the right.
            lengths: how many steps of each are real.
        """
        real = torch.arange(vectors.shape[1], device=vectors.device) < lengths[:, None]
        if not bool(real.any()):
            # Nothing to read; of the layers come zeros of their width.
            width = self.layers.hidden_size * (2 if self.layers.bidirectional else 1)
            return Stream(vectors.new_zeros(*vectors.shape[:2], width), real)
        # A row without steps is read for one and then set to zero: packing knows no empty rows.
        packed = pack_padded_sequence(vectors, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.layers(packed)[0], batch_first=True, total_length=vectors.shape[1])
        return Stream(states * real[..., None], real)
