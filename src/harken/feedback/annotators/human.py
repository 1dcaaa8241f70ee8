"""Asks the person at the terminal: one key decides."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import TextIOBase
from typing import ClassVar, TypeVar

import numpy as np
from jaxtyping import UInt8
from rich.console import Console
from rich.text import Text as Line

from harken.data.blobs import Blobs
from harken.data.media import image, numbers
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
    Numbers,
    Prompt,
    Ranking,
    Rating,
    Text,
)

try:
    import readline
except ImportError:  # Windows has none: an edit is then written from the start.
    readline = None  # type: ignore[assignment]

KEYS: dict[str, Choice] = {"a": "a", "b": "b", "t": "tie", "n": "both_bad"}
T = TypeVar("T")
WIDEST = 96
"""Columns that a picture may take."""
HIGHEST = 128
"""Rows of pixels that a picture may take, two a line."""


@dataclass
class HumanAnnotator:
    """A person at the terminal.

    Attributes:
        id: the person's id.
        blobs: where the media of prompts lie.
        console: where questions are written.
        stream: where answers come from, a line each; the terminal if None.
    """

    id: str
    blobs: Blobs
    console: Console = field(default_factory=Console)
    stream: TextIOBase | None = None
    kind: ClassVar[AnnotatorKind] = "human"

    def answer(
        self, prompts: Mapping[str, Prompt], question: Question, completions: Mapping[str, Completion]
    ) -> Feedback | None:
        """Ask one question; None if it was skipped.

        Raises:
            StopAsking: if the person said `q`, or the input ended.
        """
        self.console.rule()
        prompt = prompts[question.prompt_id]
        self._show(prompt)
        match question:
            case Compare():
                return self._compare(prompts, question, completions)
            case Rate(completion=name):
                self._write("", completions[name].text)
                key = self._key("grade 1 (worst) to 5 (best), s skip, q stop", "12345")
                return None if key is None else Rating(prompt.id, name, int(key))
            case Rank(completions=names):
                return self._rank(prompt, [completions[name] for name in names])
            case Revise(completion=name):
                return self._revise(prompt, completions[name])

    def _compare(
        self, prompts: Mapping[str, Prompt], question: Compare, completions: Mapping[str, Completion]
    ) -> Feedback | None:
        other = question.other_prompt_id
        self._write("a", completions[question.a].text)
        if other is not None:
            self._show(prompts[other])
        self._write("b", completions[question.b].text)
        key = self._key("which is better? a, b, t tie, n both bad, s skip, q stop", "".join(KEYS))
        if key is None:
            return None
        return Comparison(question.prompt_id, question.a, question.b, KEYS[key], other_prompt_id=other)

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
            changed = line and line != completion.text.strip()
            return Edit(prompt.id, completion.id, line) if changed else None

        ask = "write what you would rather have read (one line); s alone skip, q alone stop"
        return self._until(ask, edit, prefill=completion.text)

    def _show(self, prompt: Prompt) -> None:
        for message in prompt.messages:
            for part in message.parts:
                match part:
                    case Text(text=text):
                        self._write(message.role, text)
                    case Image(sha256=sha256):
                        pixels = image.decode(self.blobs.read(sha256))
                        self.console.print(blocks(pixels, min(WIDEST, self.console.width - 2)))
                        self._path("picture", sha256)
                    case Audio(sha256=sha256):
                        self._path("sound to play", sha256)
                    case Numbers(sha256=sha256):
                        self._write("numbers", "\n" + numbers.excerpt(self.blobs.read(sha256)))
                        self._path("all of them", sha256)

    def _path(self, what: str, sha256: str) -> None:
        self.console.print(Line(f"  {what}: {self.blobs.path(sha256)}", "dim"), soft_wrap=True)

    def _write(self, name: str, text: str) -> None:
        # As rich's text and not as its markup: what is judged must be shown as it is, `[b]` and `:smile:` too.
        self.console.print(Line.assemble((f"{name}: " if name else "  ", "bold"), harmless(text)))

    def _key(self, ask: str, keys: str) -> str | None:
        return self._until(ask, lambda line: line if len(line) == 1 and line in keys else None)

    def _until(self, ask: str, read: Callable[[str], T | None], prefill: str = "") -> T | None:
        """Ask until `read` makes something of the line; None for a skip."""
        while True:
            self.console.print(Line(ask, "cyan"))
            line = self._line(prefill).strip()
            if line == "q":
                raise StopAsking
            if line == "s":
                return None
            found = read(line)
            if found is not None:
                return found
            self.console.print(Line("not one of the answers; try again", "yellow"))

    def _line(self, prefill: str) -> str:
        if self.stream is not None:
            line = self.stream.readline()
            if not line:
                raise StopAsking
            return line
        # One line of the terminal cannot hold a text of several.
        hook = prefill and readline is not None and "\n" not in prefill
        if hook:
            readline.set_startup_hook(lambda: readline.insert_text(harmless(prefill)))
        try:
            return input("> ")
        except EOFError as end:
            raise StopAsking from end
        finally:
            if hook:
                readline.set_startup_hook(None)


def harmless(text: str) -> str:
    """The text with what would steer the terminal (escape sequences, bells) made visible."""
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs") else "\ufffd" for c in text)


def blocks(pixels: UInt8[np.ndarray, "H W 3"], widest: int = WIDEST) -> Line:
    """A picture as half-block characters in colour, two rows of pixels a line, made smaller where it is too large."""
    step = max(1, -(-pixels.shape[1] // max(1, widest)), -(-pixels.shape[0] // HIGHEST))
    small = pixels[::step, ::step]
    if len(small) % 2:
        small = np.concatenate([small, small[-1:]])
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        cells = [("▀", f"{_colour(u)} on {_colour(v)}") for u, v in zip(upper, lower, strict=True)]
        lines.append(Line.assemble("  ", *cells))
    return Line("\n", no_wrap=True).join(lines)


def _colour(pixel: UInt8[np.ndarray, "3"]) -> str:
    return f"rgb({pixel[0]},{pixel[1]},{pixel[2]})"
