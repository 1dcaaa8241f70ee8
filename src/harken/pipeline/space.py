"""The values that a setting may take in a search: `1e-4..1e-2:log`, `16..64`, `32|64|128`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(rf"\s*({NUMBER})\s*\.\.\s*({NUMBER})\s*(?::\s*(\w+)\s*)?")
FORMS = "write LOW..HIGH (16..64), LOW..HIGH:log (1e-4..1e-2:log), or values (32|64|128)"
BETWEEN = 0.381966
"""Where a range is tried besides its ends: seldom a round number."""


class SpaceError(ValueError):
    """A space of values cannot be read."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both of which are in it; whole ones if both are whole numbers.

    Attributes:
        low: the least.
        high: the largest.
        log: whether all ratios are equally likely, and not all differences.
    """

    low: int | float
    high: int | float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        return f"{self.low!r}..{self.high!r}{':log' if self.log else ''}"

    def probes(self) -> tuple[int | float, ...]:
        """Both ends, and something between."""
        between = self.low + BETWEEN * (self.high - self.low)
        return (self.low, self.high, round(between) if self.whole else between)

    def holds(self, value: Any) -> bool:
        """Whether a value is in it."""
        kinds = (int,) if self.whole else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """Some values, none of which is nearer to another.

    Attributes:
        labels: each value as YAML.
    """

    labels: tuple[str, ...]

    def __str__(self) -> str:
        return "|".join(self.labels)

    def value(self, label: str) -> Any:
        """What a label stands for."""
        found = yaml.safe_load(label)
        # YAML 1.1 takes 1e-4 for a word.
        return float(found) if isinstance(found, str) and re.fullmatch(NUMBER, found) else found

    def probes(self) -> tuple[Any, ...]:
        """All values."""
        return tuple(self.value(label) for label in self.labels)

    def holds(self, value: Any) -> bool:
        """Whether a value is among them."""
        return self.label(value) is not None

    def label(self, value: Any) -> str | None:
        """The label of a value; None if it is not among them."""
        return next((label for label in self.labels if self.value(label) == value), None)


Space = Range | Choice


def parse_space(key: str, said: Any) -> Space:
    """A space as a user wrote it.

    Args:
        key: of the recipe, for errors.
        said: the text, or a list of values.

    Raises:
        SpaceError: naming the key, what is wrong, and how a space is written.
    """
    if isinstance(said, list | tuple):
        return _choice(
            key, [yaml.safe_dump(value, default_flow_style=True).split("\n...")[0].strip() for value in said]
        )
    if not isinstance(said, str):
        raise SpaceError(f"{key}: {said!r} leaves nothing to search; {FORMS}")
    if "|" in said:
        return _choice(key, [label.strip() for label in said.split("|")])
    found = RANGE.fullmatch(said)
    if found is None:
        raise SpaceError(f"{key}: {said!r} is no space of values; {FORMS}")
    low, high, scale = found.groups()
    if scale not in (None, "log"):
        raise SpaceError(f"{key}: {said!r} ends in {scale!r}; a range ends in :log, or in nothing")
    return _range(key, said, _number(low), _number(high), log=scale == "log")


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _range(key: str, said: str, low: int | float, high: int | float, log: bool) -> Range:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SpaceError(f"{key}: {said!r} has an end that is too large for a number")
    if low >= high:
        raise SpaceError(
            f"{key}: {said!r} is empty, since it goes from {low} up to {high}; write the smaller end first"
        )
    if log and low <= 0:
        raise SpaceError(f"{key}: {said!r}: a logarithm needs numbers above 0; begin above 0, or leave :log out")
    return Range(low, high, log)


def _choice(key: str, labels: Sequence[str]) -> Choice:
    made = Choice(tuple(labels))
    try:
        values = made.probes()
    except yaml.YAMLError as error:
        raise SpaceError(f"{key}: {'|'.join(labels)!r} holds a value that is no YAML: {error}") from error
    if "" in labels or len(labels) < 2 or any(values[n] in values[:n] for n in range(len(values))):
        raise SpaceError(f"{key}: {'|'.join(labels)!r} needs two or more values, each once; {FORMS}")
    return made
