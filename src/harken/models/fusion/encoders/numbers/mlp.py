"""Numbers to tokens: a perceptron over the channels of each step, which knows where in the series the step is.

A vector of measurements is a series of one step.
"""

from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Float, Int
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.encoders.encoder import Encoder, Series
from harken.models.fusion.layers import sinusoids
from harken.models.fusion.stream import Stream


@dataclass(frozen=True)
class Mlp(Series):
    """A perceptron.

    Attributes:
        hidden: width of the encoder, even.
        layers: hidden layers.
    """

    hidden: int = 64
    layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "numbers", hidden=2, layers=1)
        if self.hidden % 2:
            raise ValueError(f"numbers.hidden must be even, not {self.hidden}")

    def build(self) -> "MlpEncoder":
        """The encoder, with random weights."""
        return MlpEncoder(self)


class MlpEncoder(Encoder):
    """`series` (n, T, C), `series_lengths` (n,) -> states (n, M, D), one a token."""

    def __init__(self, settings: Mlp):
        super().__init__()
        self.settings, self.width = settings, settings.hidden
        widths = [settings.inputs, *[settings.hidden] * settings.layers]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.GELU()]
        self.layers = nn.Sequential(*layers, nn.Linear(settings.hidden, settings.hidden))
        self.norm = nn.LayerNorm(settings.hidden)

    def forward(self, media: Float[Tensor, "n T C"], lengths: Int[Tensor, " n"] | None = None) -> Stream:
        """States of n series of different length; what lies beyond a series' end changes nothing."""
        read, real = self.settings.stacked(media, lengths)
        states = self.layers(self.as_weights(read))
        states = self.norm(states + sinusoids(states.shape[1], states.shape[2]).to(states))
        return Stream(states * real[..., None], real)
