"""Questions whose answer is known: what is right, and who gives it."""

from collections.abc import Mapping
from typing import Any

from harken.feedback.strict import fields
from harken.types import Comparison, Feedback, Rating

CHOICES = ("tie", "both_bad")


def check_gold(form: str, completions: tuple[str, ...], gold: Mapping[str, Any]) -> dict[str, Any]:
    """A known answer: of a comparison `{"choice": COMPLETION | tie | both_bad}`, of a rating `{"low": n, "high": m}`.

    Raises:
        ValueError: if it is none, or the form has no known answers.
    """
    match form:
        case "comparison":
            read = fields(gold, "known answer", {"choice": str})
            if read["choice"] not in (*completions, *CHOICES):
                raise ValueError(f"known answer: the choice is one of {', '.join((*completions, *CHOICES))}")
            return read
        case "rating":
            read = fields(gold, "known answer", {"low": int, "high": int})
            if not 1 <= read["low"] <= read["high"]:
                raise ValueError("known answer: 1 <= low <= high")
            return read
        case _:
            raise ValueError("known answers are for comparisons and ratings")


def is_right(gold: Mapping[str, Any], said: Feedback) -> bool:
    """Whether somebody gave the known answer."""
    match said:
        case Comparison(a=a, b=b, choice=choice):
            return bool({"a": a, "b": b}.get(choice, choice) == gold["choice"])
        case Rating(score=score):
            return bool(gold["low"] <= score <= gold["high"])
        case _:
            return False
