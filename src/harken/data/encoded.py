"""Encoded prompts, kept: each prompt is processed once and not once an epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from harken.data.batch import EncodedPrompt
from harken.data.blobs import Blobs
from harken.data.processor import Processor
from harken.types import Prompt


@runtime_checkable
class Encodes(Protocol):
    """Prompts as a model reads them."""

    @property
    def processor(self) -> Processor:
        """What it reads with."""
        ...

    def __call__(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt]:
        """The encodings of some prompts, in their order."""
        ...


@dataclass(frozen=True)
class Given:
    """The encodings of certain prompts, which nobody but their maker can make again.

    Attributes:
        processor: what they are read with.
        encodings: in the prompts' order.
    """

    processor: Processor
    encodings: Sequence[EncodedPrompt]

    def __call__(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt]:
        """All of them.

        Raises:
            ValueError: if other prompts are asked for, as far as their number tells.
        """
        if len(prompts) != len(self.encodings):
            raise ValueError(f"{len(prompts)} prompts are asked for, and encodings of {len(self.encodings)} were given")
        return list(self.encodings)


def refuse_unreadable(prompts: Sequence[Prompt], processor: Processor, blobs: Blobs) -> None:
    """See that a model can read all prompts, before anything is learnt; nothing is kept.

    Raises:
        ValueError: naming the first prompt that it cannot read, and why.
    """
    reading = EncodedPrompts(processor, blobs, megabytes=0)
    for prompt in prompts:
        reading([prompt])


class EncodedPrompts:
    """Encodes prompts on first use and remembers the newest of them.

    Args:
        processor: what the model reads with.
        blobs: where the media lie.
        megabytes: memory for the tensors; the oldest leave first.
        samples: whether sounds are kept as samples besides, for what moves them (`models.hearing`).
    """

    def __init__(self, processor: Processor, blobs: Blobs, megabytes: int = 512, samples: bool = False):
        self.processor = processor
        self.blobs = blobs
        self.samples = samples
        self._room = megabytes << 20
        self._kept: dict[str, tuple[Prompt, EncodedPrompt, int]] = {}
        self._used = 0

    def __call__(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt]:
        """The encodings of some prompts, in their order."""
        return [self._one(prompt) for prompt in prompts]

    def _one(self, prompt: Prompt) -> EncodedPrompt:
        kept = self._kept.get(prompt.id)
        if kept is not None and (kept[0] is prompt or kept[0] == prompt):
            return kept[1]
        try:
            encoded = self.processor.encode(prompt, self.blobs, self.samples)
        except ValueError as error:
            # The same error, that says where it is.
            if not str(error).startswith(where := f"prompt {prompt.id!r}"):
                error.args = (f"{where}: {error}", *error.args[1:])
            raise
        tensors = [encoded.ids, *encoded.per_token.values(), *encoded.media.values()]
        size = sum(t.numel() * t.element_size() for t in tensors)
        self._kept[prompt.id] = (prompt, encoded, size)
        self._used += size
        while self._used > self._room and len(self._kept) > 1:
            self._used -= self._kept.pop(next(iter(self._kept)))[2]
        return encoded
