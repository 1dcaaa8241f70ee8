"""A grade for one completion on one criterion."""

from collections.abc import Mapping
from typing import Any

from harken.feedback.strict import fields, known, named
from harken.types import Completion, Rating


def check(said: Rating, completions: Mapping[str, Completion]) -> None:
    """Refuse a rating that makes no sense.

    Raises:
        ValueError: if the completion is unknown or of another prompt, or the score is not on the scale.
    """
    known(said.completion, said.prompt_id, "rating", completions)
    if said.levels < 2:
        raise ValueError(f"rating: a scale has at least 2 levels, not {said.levels}")
    if not 1 <= said.score <= said.levels:
        raise ValueError(f"rating of {said.completion!r}: the score is from 1 to {said.levels}, not {said.score}")
    named(said.criterion, f"rating of {said.completion!r}")


def to_json(said: Rating) -> dict[str, Any]:
    """As plain data."""
    return {
        "prompt_id": said.prompt_id,
        "completion": said.completion,
        "score": said.score,
        "levels": said.levels,
        "criterion": said.criterion,
    }


def from_json(value: Mapping[str, Any]) -> Rating:
    """From plain data.

    Raises:
        ValueError: if it is not exactly a rating.
    """
    types = {"prompt_id": str, "completion": str, "score": int, "levels": int, "criterion": str}
    return Rating(**fields(value, "rating", types))


def pairs(said: Rating) -> list[tuple[str, str]]:
    """None: one grade alone orders nothing."""
    return []
