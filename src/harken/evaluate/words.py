"""Figures in words, as tables and pages show them."""

from collections.abc import Mapping
from typing import Any


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f} %"


def with_interval(rate: float, low: float, high: float) -> str:
    """A share with its interval."""
    return f"{percent(rate)} ({100 * low:.1f} to {100 * high:.1f})"


def of_head(found: Mapping[str, Any]) -> str:
    """How right a head is.

    Args:
        found: an entry of `evaluation.json`.
    """
    if "accuracy" in found:
        return f"{with_interval(found['accuracy'], *found['interval'])} right"
    if "absolute_error" in found:
        low, high = found["interval"]
        return f"off by {found['absolute_error']:.3g} ({low:.3g} to {high:.3g})"
    recalls = [f"{name} {percent(one['share'])}" for name, one in found.items() if name != "count"]
    return ", ".join(recalls) or "no facts"
