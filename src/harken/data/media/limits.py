"""What harken lets in: how big a medium may be, and the error that says no."""

from dataclasses import asdict, dataclass

from harken.types import Modality


class MediaError(ValueError):
    """A medium that harken does not take: it says what is wrong and how to mend it."""


class UnknownFormatError(MediaError):
    """Bytes of no format that harken reads.

    Attributes:
        plain: the same in words for whoever chose the file, without its bytes.
    """

    def __init__(self, what: str, data: bytes, known: str):
        self.plain = f"not a {what} that harken reads; save it as {known}"
        super().__init__(f"not a {what} that harken reads: its first bytes are {data[:8]!r}; save it as {known}")


@dataclass(frozen=True)
class Limits:
    """How big and how small media may be.

    Attributes:
        image_bytes: most bytes of an encoded picture.
        pixels: most pixels, width times height; checked before anything is decoded.
        side: fewest pixels along each side.
        audio_bytes: most bytes of an encoded sound.
        seconds: longest sound, in seconds.
        samples: fewest samples of a channel.
        rate: most samples a second.
        channels: most channels of a sound.
        numbers_bytes: most bytes of the text of numbers.
        steps: longest time series, in steps.
        columns: most numbers of a step.
    """

    image_bytes: int = 32 << 20
    pixels: int = 50_000_000
    side: int = 1
    audio_bytes: int = 64 << 20
    seconds: float = 600.0
    samples: int = 1
    rate: int = 192_000
    channels: int = 8
    numbers_bytes: int = 8 << 20
    steps: int = 100_000
    columns: int = 256

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"Limits.{name} must be above 0, not {value}")

    def bytes_of(self, modality: Modality) -> int:
        """Most bytes of an encoded medium of a modality."""
        return {"image": self.image_bytes, "audio": self.audio_bytes, "numbers": self.numbers_bytes}[modality]


DEFAULT = Limits()
