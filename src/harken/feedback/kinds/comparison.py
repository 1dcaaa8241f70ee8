"""Of two completions, which is better: a, b, a tie, or both bad."""

from collections.abc import Mapping
from typing import Any, get_args

from harken.feedback.strict import fields, known
from harken.types import Choice, Comparison, Completion

CHOICES: tuple[str, ...] = get_args(Choice)


def check(said: Comparison, completions: Mapping[str, Completion]) -> None:
    """Refuse a comparison that makes no sense.

    Raises:
        ValueError: if a completion is unknown, of another prompt, or compared with itself, or the choice is none.
    """
    for name in (said.a, said.b):
        known(name, said.prompt_id, "comparison", completions)
    if said.a == said.b:
        raise ValueError(f"comparison of prompt {said.prompt_id!r}: completion {said.a!r} is compared with itself")
    if said.choice not in CHOICES:
        raise ValueError(f"comparison: the choice is one of {', '.join(CHOICES)}, not {said.choice!r}")


def to_json(said: Comparison) -> dict[str, Any]:
    """As plain data."""
    return {"prompt_id": said.prompt_id, "a": said.a, "b": said.b, "choice": said.choice}


def from_json(value: Mapping[str, Any]) -> Comparison:
    """From plain data.

    Raises:
        ValueError: if it is not exactly a comparison.
    """
    read = fields(value, "comparison", {"prompt_id": str, "a": str, "b": str, "choice": str})
    if read["choice"] not in CHOICES:
        raise ValueError(f"comparison: the choice is one of {', '.join(CHOICES)}, not {read['choice']!r}")
    return Comparison(**read)


def pairs(said: Comparison) -> list[tuple[str, str]]:
    """(better, worse); a tie and "both bad" say nothing of the order."""
    return {"a": [(said.a, said.b)], "b": [(said.b, said.a)]}.get(said.choice, [])
