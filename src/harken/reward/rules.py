"""Verifiable rewards: what can be checked of a completion by a prompt's facts, without a model.

`right_answer` reads three facts: `required`, a list of the numbers that a true answer must say; `allowed`, a list of
numbers that it may say besides (none if absent); `verdict`, "yes" or "no" where one is asked (null or absent if not).
`ended` reads none.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from harken.types import JSON, Completion, Prompt

Rule = Callable[[Prompt, Completion], float]

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


RULES: Mapping[str, Rule] = MappingProxyType({"right_answer": right_answer, "ended": ended})
"""The rules that a recipe can name."""


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
