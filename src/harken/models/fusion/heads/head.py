"""What a head is: a reading of what is shared, and the loss of it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from harken.models.fusion.fuse.fuse import Streams

LEARNT = "learnt"


@dataclass(frozen=True)
class View:
    """What heads may read of B rows.

    Attributes:
        shared: what all of a row's media say together, (B, D).
        streams: what each modality says by itself.
        again: the shared state of other streams, joined by the same module.
    """

    shared: Float[Tensor, "B D"]
    streams: Streams
    again: Callable[[Streams], Float[Tensor, "B D"]]


class Head(nn.Module, ABC):
    """Reads a view; its outputs go to the loss of the same name by name.

    Attributes:
        reads_streams: whether it reads what each modality says by itself, and not the shared state alone.
        log_variance: log sigma^2 of its task, where the weight of its loss is learnt (1705.07115).
    """

    reads_streams: bool = False
    log_variance: nn.Parameter | None = None

    @abstractmethod
    def forward(self, view: View) -> dict[str, Tensor]:
        """Outputs by name, each with B rows or a single number."""


@dataclass(frozen=True)
class HeadSettings(ABC):
    """The settings that every head has.

    Attributes:
        weight: how much its loss counts beside the others'; `learnt` weighs it by an uncertainty that is learnt
            with it (1705.07115).
    """

    weight: float | str = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.weight, str):
            if self.weight != LEARNT:
                raise ValueError(f"heads: weight is a number from 0 up or {LEARNT!r}, not {self.weight!r}")
        elif not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"heads: weight is a number from 0 up or {LEARNT!r}, not {self.weight}")

    @abstractmethod
    def build(self, width: int, modalities: Sequence[str]) -> Head:
        """The head, with random weights.

        Args:
            width: D of the shared state and of the streams.
            modalities: which streams there are.
        """
