"""Records of other programs: ids and keys made of what they say, so that reading a file twice adds nothing."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harken.data.blobs import Blobs
from harken.data.record import FieldError, check, content_id
from harken.feedback.exchange.parcel import Parcel
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.turns import Reader
from harken.feedback.records import check as check_statement
from harken.feedback.records import feedback_to_json, kind_of
from harken.types import AnnotatorKind, Answer, Completion, Feedback, Message, Prompt

LONGEST_NAME = 200


class Foreign:
    """Makes prompts, completions and answers of one file's records.

    Args:
        name: the format's name; begins ids and annotators' names.
        file: the file; paths of media start in its folder and may not leave it.
        blobs: take the media.
        levels: of the scale of ratings, which some formats do not tell.
    """

    def __init__(self, name: str, file: Path, blobs: Blobs, levels: int = 5):
        self.name, self.blobs, self.levels = name, blobs, levels
        self._folder = file.parent
        self._said: Counter[str] = Counter()

    def reader(self, place: str) -> Reader:
        """A reader of one record's turns."""
        return Reader(place, self.blobs, self._folder)

    def prompt(self, messages: Sequence[Message], place: str) -> Prompt:
        """A prompt, named by its content.

        Raises:
            DataError: if it cannot be answered or kept.
        """
        prompt = Prompt("unnamed", tuple(messages))
        prompt = replace(prompt, id=f"{self.name}/{content_id(prompt)}")
        try:
            check(prompt)
        except FieldError as error:
            raise DataError(f"{place}: prompt.{error.field}: {error.why}") from error
        return prompt

    def completion(self, prompt: Prompt, text: Any, policy: Any = None, twin: int = 0, place: str = "") -> Completion:
        """A completion, named by its content.

        Args:
            prompt: the prompt that it answers.
            text: the answer.
            policy: who wrote it; the format's name if that is not told.
            twin: how many of the record's completions before it say the same.
            place: of the record.

        Raises:
            DataError: if it is no text, or there is nothing in it.
        """
        if not isinstance(text, str) or not text:
            raise DataError(f"{place}: a completion is {text!r}; it must be a text, and not empty")
        named = self.name if policy is None else self.named(policy, "policy", place)
        return Completion(f"c-{digest(prompt.id, named, text, twin)}", prompt.id, text, named)

    def pair(self, prompt: Prompt, texts: Sequence[Any], policies: Sequence[Any], place: str) -> list[Completion]:
        """Several completions of one record; the same text twice is two of them."""
        made: list[Completion] = []
        for text, policy in zip(texts, policies, strict=True):
            twin = sum(1 for one in made if one.text == text)
            made.append(self.completion(prompt, text, policy, twin, place))
        return made

    def named(self, value: Any, what: str, place: str) -> str:
        """A name, as a record has it.

        Raises:
            DataError: if it cannot be one.
        """
        text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if not text.strip() or not text.isprintable() or len(text) > LONGEST_NAME:
            raise DataError(f"{place}: {what} {value!r} is no name; write 1 to {LONGEST_NAME} printable letters")
        return text

    def answer(
        self,
        said: Feedback,
        about: Mapping[str, Completion],
        place: str,
        annotator: Any = None,
        kind: AnnotatorKind = "human",
        seconds: Any = None,
    ) -> Answer:
        """An answer; said twice in one file it is two, the file read twice adds none.

        Args:
            said: the statement.
            about: the completions of the record.
            place: of the record.
            annotator: who said it; the format's name if that is not told.
            kind: what the annotator is.
            seconds: how long it took, if it is told.

        Raises:
            DataError: if the statement makes no sense.
        """
        try:
            check_statement(said, about)
        except ValueError as error:
            raise DataError(f"{place}: {error}") from error
        who = f"{self.name}/{'unnamed' if annotator is None else self.named(annotator, 'annotator', place)}"
        what = digest(who, kind_of(said), feedback_to_json(said))
        key = f"import-{digest(what, self._said[what])}"
        self._said[what] += 1
        return Answer(key, who, kind, said, _seconds(seconds, place))


def _seconds(value: Any, place: str) -> float | None:
    if value is None:
        return None
    # Not NaN and not infinite, which compare with nothing.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise DataError(f"{place}: it took {value!r} seconds; write a number from 0, or leave it out")
    return float(value)


def digest(*what: object) -> str:
    """32 hexadecimal digits of plain data."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def single(prompt: Prompt, completions: Sequence[Completion], answers: Sequence[Answer]) -> Parcel:
    """A parcel of one prompt."""
    return Parcel((prompt,), tuple(completions), tuple(answers))
