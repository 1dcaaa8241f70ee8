"""Asks the person at the terminal: one key decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import TextIOBase
from typing import ClassVar, TypeVar

import numpy as np
from rich.console import Console
from rich.markup import escape

from harken.data.blobs import Blobs
from harken.data.media import image
from harken.feedback.annotators.annotator import StopAsking
from harken.feedback.queue import Compare, Question, Rank, Rate, Revise
from harken.types import (
    AnnotatorKind,
    Audio,
    Choice,
    Comparison,
    Completion,
    Edit,
    Feedback,
    Image,
    Prompt,
    Ranking,
    Rating,
    Text,
)

KEYS: dict[str, Choice] = {"a": "a", "b": "b", "t": "tie", "n": "both_bad"}
T = TypeVar("T")
WIDEST = 96
"""Columns that a picture may take."""


@dataclass
class HumanAnnotator:
    """A person at the terminal.

    Attributes:
        id: the person's id.
        blobs: where the media of prompts lie.
        console: where questions are written.
        stream: where answers come from; the terminal if None.
    """

    id: str
    blobs: Blobs
    console: Console = field(default_factory=Console)
    stream: TextIOBase | None = None
    kind: ClassVar[AnnotatorKind] = "human"

    def answer(self, prompt: Prompt, question: Question, completions: Mapping[str, Completion]) -> Feedback | None:
        """Ask one question; None if it was skipped.

        Raises:
            StopAsking: if the person said `q`, or the input ended.
        """
        self.console.rule()
        self._show(prompt)
        match question:
            case Compare(a=a, b=b):
                return self._compare(prompt, completions[a], completions[b])
            case Rate(completion=name):
                self._write("", completions[name].text)
                key = self._key("grade 1 (worst) to 5 (best), s skip, q stop", "12345")
                return None if key is None else Rating(prompt.id, name, int(key))
            case Rank(completions=names):
                return self._rank(prompt, [completions[name] for name in names])
            case Revise(completion=name):
                return self._revise(prompt, completions[name])

    def _compare(self, prompt: Prompt, a: Completion, b: Completion) -> Feedback | None:
        self._write("a", a.text)
        self._write("b", b.text)
        key = self._key("which is better? a, b, t tie, n both bad, s skip, q stop", "".join(KEYS))
        return None if key is None else Comparison(prompt.id, a.id, b.id, KEYS[key])

    def _rank(self, prompt: Prompt, shown: list[Completion]) -> Feedback | None:
        for number, completion in enumerate(shown, 1):
            self._write(str(number), completion.text)

        def order(line: str) -> Ranking | None:
            numbers = line.split()
            if sorted(numbers) != sorted(str(n) for n in range(1, len(shown) + 1)):
                return None
            return Ranking(prompt.id, tuple((shown[int(n) - 1].id,) for n in numbers))

        ask = f"all numbers, best first, such as {' '.join(str(n) for n in range(len(shown), 0, -1))}; s skip, q stop"
        return self._until(ask, order)

    def _revise(self, prompt: Prompt, completion: Completion) -> Feedback | None:
        self._write("", completion.text)

        def edit(line: str) -> Edit | None:
            changed = line.strip() and line != completion.text
            return Edit(prompt.id, completion.id, line) if changed else None

        return self._until("write what you would rather have read (one line); s skip, q stop", edit)

    def _show(self, prompt: Prompt) -> None:
        for message in prompt.messages:
            for part in message.parts:
                match part:
                    case Text(text=text):
                        self._write(message.role, text)
                    case Image(sha256=sha256):
                        self.console.print(blocks(image.decode(self.blobs.read(sha256))), highlight=False)
                        self.console.print(f"  picture: {self.blobs.path(sha256)}", style="dim", soft_wrap=True)
                    case Audio(sha256=sha256):
                        self.console.print(f"  sound to play: {self.blobs.path(sha256)}", style="dim", soft_wrap=True)

    def _write(self, name: str, text: str) -> None:
        label = f"[bold]{name}[/bold]: " if name else "  "
        self.console.print(label + escape(text), highlight=False)

    def _key(self, ask: str, keys: str) -> str | None:
        return self._until(ask, lambda line: line if len(line) == 1 and line in keys else None)

    def _until(self, ask: str, read: Callable[[str], T | None]) -> T | None:
        """Ask until `read` makes something of the line; None for a skip."""
        while True:
            try:
                line = self.console.input(f"[cyan]{escape(ask)}[/cyan] > ", stream=self.stream)  # type: ignore[arg-type]
            except EOFError as end:
                raise StopAsking from end
            if self.stream is not None and not line:
                raise StopAsking
            line = line.strip()
            if line == "q":
                raise StopAsking
            if line == "s":
                return None
            found = read(line)
            if found is not None:
                return found
            self.console.print("not one of the answers; try again", style="yellow")


def blocks(pixels: np.ndarray) -> str:
    """A picture as half-block characters with rich's colours, two rows of pixels a line."""
    step = max(1, -(-pixels.shape[1] // WIDEST))
    small = pixels[::step, ::step]
    if len(small) % 2:
        small = np.concatenate([small, small[-1:]])
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells = (
            f"[rgb({u[0]},{u[1]},{u[2]}) on rgb({v[0]},{v[1]},{v[2]})]▀[/]" for u, v in zip(upper, lower, strict=True)
        )
        lines.append("  " + "".join(cells))
    return "\n".join(lines)
