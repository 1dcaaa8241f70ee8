"""Rewards without a model: what can be checked of a completion by a prompt's facts, and what its text alone shows.

`right_answer` reads three facts: `required`, a list of the numbers that a true answer must say; `allowed`, a list of
numbers that it may say besides (none if absent); `verdict`, "yes" or "no" where one is asked (null or absent if not).
The others read none. `length` and `repetition` are penalties, from -1 to 0: a recipe gives them a weight above 0.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from harken.types import JSON, Completion, Prompt

Rule = Callable[[Prompt, Completion], float]
Unit = Literal["words", "characters"]

NUMBER = re.compile(r"\d+")
VERDICT = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f")
"""Full stop, exclamation mark, question mark: Latin and Chinese."""


def numbers(text: str) -> set[str]:
    """The numbers that a text says: whole runs of digits, without leading zeros.

    "42" says 42 and not 4 or 2; "4 2" says 4 and 2, "-7" says 7, "3.5" says 3 and 5, "007" says 7.
    """
    # As text: int() refuses runs of thousands of digits, which a policy may well write.
    runs = ("".join(str(int(digit)) for digit in run) for run in NUMBER.findall(text))
    return {run.lstrip("0") or "0" for run in runs}


def right_answer(prompt: Prompt, completion: Completion) -> float:
    """1 if the answer is true, else 0.

    True is: all `required` numbers are said, and none but `required` and `allowed` ones; where a `verdict` is asked,
    it is said as a word of its own, in any case, and its contrary is said nowhere.

    Raises:
        ValueError: if the prompt has no fact `required`, or its facts are not of the right form.
    """
    required = _numbers_fact(prompt, "required")
    allowed = _numbers_fact(prompt, "allowed") if "allowed" in prompt.facts else frozenset()
    said = numbers(completion.text)
    if not required <= said <= required | allowed:
        return 0.0
    verdict = prompt.facts.get("verdict")
    if verdict is None:
        return 1.0
    if verdict not in ("yes", "no"):
        raise ValueError(f'prompt {prompt.id!r}: fact `verdict` must be "yes", "no" or null, not {verdict!r}')
    return float({word.lower() for word in VERDICT.findall(completion.text)} == {verdict})


def ended(prompt: Prompt, completion: Completion) -> float:
    """1 if the completion ended by itself, with a full stop, an exclamation mark or a question mark, else 0."""
    return float(completion.finished and completion.text.rstrip().endswith(ENDS))


def units(text: str, unit: Unit) -> Sequence[str]:
    """A text's words (runs without white space) or its characters, without white space at its ends.

    Chinese and Japanese, which put no spaces between words, are counted in characters.
    """
    return text.split() if unit == "words" else text.strip()


@dataclass(frozen=True)
class Length:
    """A penalty for texts of a wrong length: minus the share by which they miss it, at worst -1.

    Attributes:
        limit: longer texts lose (length - limit) / limit; None for no limit.
        target: longer and shorter texts lose |length - target| / target; None for no target. With both, the larger
            penalty counts.
        unit: in which the length is counted.
    """

    limit: int | None = None
    target: int | None = None
    unit: Unit = "words"

    def __post_init__(self) -> None:
        if any(bound is not None and bound < 1 for bound in (self.limit, self.target)):
            raise ValueError(f"length: limit and target are at least 1 {self.unit}: {self}")

    @property
    def says_nothing(self) -> bool:
        """Whether no length is wrong."""
        return self.limit is None and self.target is None

    def __call__(self, prompt: Prompt, completion: Completion) -> float:
        """From -1 to 0."""
        count, lost = len(units(completion.text, self.unit)), 0.0
        if self.limit is not None:
            lost = max(lost, (count - self.limit) / self.limit)
        if self.target is not None:
            lost = max(lost, abs(count - self.target) / self.target)
        return -min(lost, 1.0)


@dataclass(frozen=True)
class Repetition:
    """A penalty for saying again what was said: minus the share of n-grams that stood in the text before.

    1908.04319 (seq-rep-n): 1 - |different n-grams| / |n-grams|; 0 where the text has no n-gram.

    Attributes:
        n: how many units in a row make an n-gram.
        unit: words or characters.
    """

    n: int = 3
    unit: Unit = "words"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"repetition: n is at least 1, not {self.n}")

    def __call__(self, prompt: Prompt, completion: Completion) -> float:
        """From -1 to 0."""
        said = units(completion.text, self.unit)
        grams = Counter(tuple(said[i : i + self.n]) for i in range(len(said) - self.n + 1))
        return len(grams) / grams.total() - 1.0 if grams else 0.0


@dataclass(frozen=True)
class RuleSettings:
    """The rules that have settings, by their names.

    Attributes:
        length: how long a text should be.
        repetition: what a repetition is.
    """

    length: Length = field(default_factory=Length)
    repetition: Repetition = field(default_factory=Repetition)


def rules_by_name(settings: RuleSettings) -> Mapping[str, Rule]:
    """The rules that a recipe can name, with these settings."""
    return MappingProxyType(
        {
            "right_answer": right_answer,
            "ended": ended,
            "length": settings.length,
            "repetition": settings.repetition,
        }
    )


RULES: Mapping[str, Rule] = rules_by_name(RuleSettings())
"""The rules as they are without settings."""


def _numbers_fact(prompt: Prompt, key: str) -> frozenset[str]:
    """A fact that is a list of whole numbers, as `numbers` writes them."""
    if key not in prompt.facts:
        raise ValueError(
            f"prompt {prompt.id!r} has no fact `{key}`, which the rule right_answer reads; add it, or leave the rule "
            "out of align.rollout.mix.environment"
        )
    value: JSON = prompt.facts[key]
    if not isinstance(value, list) or not all(type(number) is int and number >= 0 for number in value):
        raise ValueError(f"prompt {prompt.id!r}: fact `{key}` must be a list of whole numbers from 0 up, not {value!r}")
    return frozenset(str(number) for number in value)
