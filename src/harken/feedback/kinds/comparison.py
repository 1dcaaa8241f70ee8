"""Of two completions, which is better: a, b, a tie, or both bad."""

from collections.abc import Mapping
from typing import Any, get_args

from harken.feedback.strict import OVERALL, fields, known, named
from harken.types import Choice, Comparison, Completion

CHOICES: tuple[str, ...] = get_args(Choice)
STRENGTHS = (1, 2, 3)


def check(said: Comparison, completions: Mapping[str, Completion]) -> None:
    """Refuse a comparison that makes no sense.

    Raises:
        ValueError: if a completion is unknown, of another prompt than is said, or compared with itself, or the choice
            or the criterion is none.
    """
    known(said.a, said.prompt_id, "comparison", completions)
    known(said.b, said.other_prompt_id or said.prompt_id, "comparison", completions)
    if said.a == said.b:
        raise ValueError(f"comparison of prompt {said.prompt_id!r}: completion {said.a!r} is compared with itself")
    if said.choice not in CHOICES:
        raise ValueError(f"comparison: the choice is one of {', '.join(CHOICES)}, not {said.choice!r}")
    named(said.criterion, f"comparison of {said.a!r} and {said.b!r}")
    if said.strength is not None and (said.choice not in ("a", "b") or said.strength not in STRENGTHS):
        raise ValueError(
            f"comparison of {said.a!r} and {said.b!r}: the strength of a choice of a or b is {STRENGTHS}, not "
            f"{said.strength!r} of {said.choice!r}; leave it out"
        )


def to_json(said: Comparison) -> dict[str, Any]:
    """As plain data; what is as usual is left out."""
    out: dict[str, Any] = {"prompt_id": said.prompt_id, "a": said.a, "b": said.b, "choice": said.choice}
    if said.criterion != OVERALL:
        out["criterion"] = said.criterion
    if said.other_prompt_id is not None:
        out["other_prompt_id"] = said.other_prompt_id
    if said.strength is not None:
        out["strength"] = said.strength
    return out


def from_json(value: Mapping[str, Any]) -> Comparison:
    """From plain data.

    Raises:
        ValueError: if it is not exactly a comparison.
    """
    types = {"prompt_id": str, "a": str, "b": str, "choice": str}
    read = fields(value, "comparison", types, {"criterion": str, "other_prompt_id": str, "strength": int})
    if read["choice"] not in CHOICES:
        raise ValueError(f"comparison: the choice is one of {', '.join(CHOICES)}, not {read['choice']!r}")
    return Comparison(**read)


def pairs(said: Comparison) -> list[tuple[str, str]]:
    """(better, worse); a tie and "both bad" say nothing of the order."""
    return {"a": [(said.a, said.b)], "b": [(said.b, said.a)]}.get(said.choice, [])
