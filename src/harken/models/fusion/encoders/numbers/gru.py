"""Numbers to tokens: a gated recurrent network over the steps (1406.1078), in both directions."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder, Series
from harken.models.fusion.stream import Stream


@dataclass(frozen=True)
class Gru(Series):
    """A recurrent network.

    Attributes:
        hidden: width of the encoder, even: each direction has half of it.
        layers: layers, one above the other.
    """

    hidden: int = 64
    layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "numbers", hidden=2, layers=1)
        if self.hidden % 2:
            raise ValueError(f"numbers.hidden must be even, half for each direction, not {self.hidden}")

    def build(self) -> "GruEncoder":
        """The encoder, with random weights."""
        return GruEncoder(self)


class GruEncoder(Encoder):
    """`series` (n, T, C), `series_lengths` (n,) -> states (n, M, D), one a token that knows what is around it."""

    def __init__(self, settings: Gru):
        super().__init__()
        self.settings, self.width = settings, settings.hidden
        self.network = nn.GRU(
            settings.inputs, settings.hidden // 2, settings.layers, batch_first=True, bidirectional=True
        )
        self.norm = nn.LayerNorm(settings.hidden)

    def forward(self, media: Float[Tensor, "n T C"], lengths: Int[Tensor, " n"] | None = None) -> Stream:
        """States of n series of different length; what lies beyond a series' end changes nothing."""
        read, real = self.settings.stacked(media, lengths)
        # Packed, the backward direction begins at each series' own end.
        packed = nn.utils.rnn.pack_padded_sequence(
            self.as_weights(read), real.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.network(packed)[0], batch_first=True, total_length=read.shape[1]
        )
        return Stream(self.norm(states) * real[..., None], real)
