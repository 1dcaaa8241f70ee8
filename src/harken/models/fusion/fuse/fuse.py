"""What a way of joining is: streams of several modalities in, a shared state and streams for a decoder out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.stream import Stream

Streams = Mapping[str, Stream]
"""What each modality says in a batch, by modality; one that is absent from a row has nothing real in it."""


@dataclass(frozen=True)
class Fused:
    """Modalities, joined.

    Attributes:
        shared: what all of a row's media say together, (B, D).
        streams: what a decoder reads in the places of the media, of the same shapes as what was joined.
    """

    shared: Float[Tensor, "B D"]
    streams: Streams


class Fuse(nn.Module, ABC):
    """Streams of the width D, joined."""

    @abstractmethod
    def compress(self, modality: str, media: Stream) -> Stream:
        """What of each medium goes on: all of its n media's states (n, M, D), or fewer."""

    @abstractmethod
    def forward(self, streams: Streams) -> Fused:
        """Join what the modalities of B rows say."""


class ReadBeside(Fuse):
    """A way of joining whose streams a language model reads beside its own states, not in the media's places.

    The places stay in the sequence, as tokens; what reads the streams finds them there.
    """

    @abstractmethod
    def enter(self, decoder: nn.Module) -> None:
        """Put what reads the streams among a decoder's layers, which are handed them as `memory`."""


@dataclass(frozen=True)
class FuseSettings(ABC):
    """The settings that every way of joining has.

    Attributes:
        width: of the streams and of the shared state; that of the language head, where there is one, if not said.
        drop: how often in training a modality of a row is left out, so that a model learns to do without; the last one
            of a row never is (ModDrop, 1501.00102). Of a policy, which samples as it is trained, demonstrations lack
            media so often, and rollouts none.
    """

    width: int | None = None
    drop: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, "fuse", width=1, drop=0)
        if self.drop >= 1:
            raise ValueError(f"fuse.drop is a share from 0 to below 1, not {self.drop}")

    @abstractmethod
    def tokens(self, length: int) -> int:
        """How many states go on of a medium whose encoder gives so many: its placeholders."""

    @abstractmethod
    def build(self, width: int, modalities: Sequence[str], decoded: bool) -> Fuse:
        """The module, with random weights.

        Args:
            width: D.
            modalities: which streams there are.
            decoded: whether a language model reads the streams.
        """
