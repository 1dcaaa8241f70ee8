"""The tasks: read a picture, hear a voice, do the two agree, add. A task makes prompts and knows their true answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.record import content_id
from harken.data.seeds import derive
from harken.demo.manners import REFERENCES
from harken.types import JSON, Audio, Image, Message, Part, Prompt, Text

Task = Literal["read", "hear", "agree", "sum"]
SILENT_TASKS: tuple[Task, ...] = ("read", "sum")
TASKS: tuple[Task, ...] = ("read", "hear", "agree", "sum")

LARGEST_ADDEND = 5
"""So many sums that a small model can learn them all: what is hard here is to see and to hear."""

QUESTIONS: dict[Task, tuple[str, ...]] = {
    "read": ("What number is this?", "Read the number.", "Which number do you see?"),
    "hear": ("What number was said?", "Which number do you hear?", "Repeat the number."),
    "agree": ("Do they agree?", "Is it the same number?", "Same number?"),
    "sum": ("What is the sum?", "Add them."),
}


@runtime_checkable
class Source(Protocol):
    """Pictures and sounds of numbers."""

    @property
    def rate(self) -> int:
        """Samples a second of its sounds."""
        ...

    @property
    def digits(self) -> int:
        """The most digits of a number in one picture; a voice says at most two of them."""
        ...

    @property
    def speaks(self) -> bool:
        """Whether it has sounds."""
        ...

    def picture(self, number: str, test: bool, rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
        """A picture that shows a number."""
        ...

    def sound(self, number: str, test: bool, rng: np.random.Generator) -> Float32[np.ndarray, " S"]:
        """A voice that says a number."""
        ...


@dataclass(frozen=True)
class Maker:
    """Makes prompts.

    Attributes:
        source: of pictures and sounds.
        blobs: where media go.
        seed: of the run.
    """

    source: Source
    blobs: Blobs
    seed: int

    def make(self, name: str, index: int, test: bool) -> Prompt:
        """The prompt `index` of a set; depends on the seed, the name and the index alone.

        Args:
            name: of the set, such as `ask`.
            index: in the set; tasks take turns.
            test: whether media come from the held-out part.
        """
        rng = np.random.default_rng(derive(self.seed, "prompt", name, index))
        tasks = TASKS if self.source.speaks else SILENT_TASKS
        task = tasks[index % len(tasks)]
        makers: dict[Task, Callable[[np.random.Generator, bool], tuple[list[Part], dict[str, JSON], str]]] = {
            "read": self._read,
            "hear": self._hear,
            "agree": self._agree,
            "sum": self._sum,
        }
        parts, facts, statement = makers[task](rng, test)
        references = tuple(manner.write(statement) for manner in REFERENCES)
        message = Message("user", tuple(parts))
        made = Prompt("", (message,), references, {"task": task, "statement": statement, **facts})
        # By its content too: another seed's prompts are others, and a feedback store holds both.
        return replace(made, id=f"{name}-{index:05d}-{content_id(made)[2:10]}")

    def _picture(self, number: str, test: bool, rng: np.random.Generator) -> Part:
        return Image(self.blobs.put(encode_png(self.source.picture(number, test, rng)), "image"))

    def _sound(self, number: str, test: bool, rng: np.random.Generator) -> Part:
        return Audio(self.blobs.put(encode_wav(self.source.sound(number, test, rng), self.source.rate), "audio"))

    def _read(self, rng: np.random.Generator, test: bool) -> tuple[list[Part], dict[str, JSON], str]:
        number = _number(rng, int(rng.integers(1, self.source.digits + 1)))
        parts = [self._picture(number, test, rng), _question("read", rng)]
        return parts, _facts([number]), f"the picture shows {number}"

    def _hear(self, rng: np.random.Generator, test: bool) -> tuple[list[Part], dict[str, JSON], str]:
        number = _number(rng, int(rng.integers(1, min(2, self.source.digits) + 1)))
        parts = [self._sound(number, test, rng), _question("hear", rng)]
        return parts, _facts([number]), f"the voice says {number}"

    def _agree(self, rng: np.random.Generator, test: bool) -> tuple[list[Part], dict[str, JSON], str]:
        shown = said = _number(rng, 1)
        same = bool(rng.integers(2))
        while not same and said == shown:
            said = _number(rng, 1)
        parts = [self._picture(shown, test, rng), self._sound(said, test, rng), _question("agree", rng)]
        if same:
            return parts, _facts([], [shown], "yes"), f"yes, both are {shown}"
        return parts, _facts([], [shown, said], "no"), f"no, I see {shown} and hear {said}"

    def _sum(self, rng: np.random.Generator, test: bool) -> tuple[list[Part], dict[str, JSON], str]:
        a, b = str(rng.integers(LARGEST_ADDEND + 1)), str(rng.integers(LARGEST_ADDEND + 1))
        kinds = ("picture and voice", "picture", "voice") if self.source.speaks else ("picture",)
        kind = kinds[int(rng.integers(len(kinds)))]
        first = self._sound(a, test, rng) if kind == "voice" else self._picture(a, test, rng)
        both = kind == "picture and voice"
        rest = [self._sound(b, test, rng), _question("sum", rng)] if both else [Text(f"Add {b}.")]
        total = str(int(a) + int(b))
        return [first, *rest], _facts([total], [a, b]), f"the sum is {total}"


def _number(rng: np.random.Generator, digits: int) -> str:
    """A number of so many digits, without leading zeros."""
    lowest = 0 if digits == 1 else 10 ** (digits - 1)
    return str(rng.integers(lowest, 10**digits))


def _question(task: Task, rng: np.random.Generator) -> Text:
    options = QUESTIONS[task]
    return Text(options[int(rng.integers(len(options)))])


def _facts(required: list[str], allowed: list[str] | None = None, verdict: str | None = None) -> dict[str, JSON]:
    """What `reward.rules.right_answer` reads."""
    numbers = [int(number) for number in required]
    return {"required": numbers, "allowed": [int(n) for n in allowed or []], "verdict": verdict}
