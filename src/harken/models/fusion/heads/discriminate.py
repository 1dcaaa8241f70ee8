"""Which modality is it? A discriminator against which the encoders learn to share a space (1505.07818).

Between the states and the discriminator stands a reversal of gradients: it learns to tell modalities apart, and what
is below it learns to make that hard.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.heads.head import Head, HeadSettings, View


@dataclass(frozen=True)
class Discriminate(HeadSettings):
    """A discriminator of modalities behind a reversal of gradients.

    Attributes:
        hidden: width of its hidden layer.
        reversal: by what gradients are multiplied on their way down, times -1.
    """

    hidden: int = 64
    reversal: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "heads", hidden=1, reversal=0)

    def build(self, width: int, modalities: Sequence[str]) -> "DiscriminateHead":
        """The head, with random weights.

        Raises:
            ValueError: if there is one modality alone.
        """
        if len(modalities) < 2:
            raise ValueError(f"heads: discriminate needs two modalities; the model has {', '.join(modalities)}")
        return DiscriminateHead(width, self, tuple(modalities))


class _Reversed(torch.autograd.Function):
    """The same forward; gradients times -factor."""

    @staticmethod
    def forward(ctx, states, factor):  # type: ignore[no-untyped-def]
        ctx.factor = factor
        return states.view_as(states)

    @staticmethod
    def backward(ctx, by_states):  # type: ignore[no-untyped-def]
        return -ctx.factor * by_states, None


class DiscriminateHead(Head):
    """`logits` (B, M, M) of each modality's mean state, and `there` (B, M), which are present."""

    reads_streams = True

    def __init__(self, width: int, settings: Discriminate, modalities: tuple[str, ...]):
        super().__init__()
        self.modalities, self.reversal = modalities, settings.reversal
        self.layers = nn.Sequential(
            nn.Linear(width, settings.hidden), nn.GELU(), nn.Linear(settings.hidden, len(modalities))
        )

    def forward(self, view: View) -> dict[str, Tensor]:
        """What the discriminator takes each modality for."""
        means = torch.stack([view.streams[m].mean() for m in self.modalities], 1)
        there = torch.stack([view.streams[m].present for m in self.modalities], 1)
        return {"logits": self.layers(_Reversed.apply(means, self.reversal)), "there": there}
