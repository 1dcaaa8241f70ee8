"""Reading plain data strictly: exact keys, exact types."""

from collections.abc import Mapping
from typing import Any

OVERALL = "overall"
"""The criterion where there is but one."""


def fields(
    value: object, kind: str, types: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """The fields of a record; nothing more, nothing less.

    Args:
        value: plain data.
        kind: what it should be, for errors.
        types: name -> type of each field.
        optional: fields that may be missing.

    Raises:
        ValueError: if it is no object, or naming the first key that is unknown, missing or of another type.
    """
    every = {**types, **(optional or {})}
    if not isinstance(value, Mapping):
        raise ValueError(f"{kind}: must be an object with {', '.join(types)}, not {value!r}")
    for key in value:
        if key not in every:
            raise ValueError(f"{kind}: unknown key {key!r}; a {kind} has {', '.join(every)}")
    for key, wanted in every.items():
        if key not in value and key not in types:
            continue
        if key not in value:
            raise ValueError(f"{kind}: {key!r} is missing; a {kind} has {', '.join(every)}")
        # bool is an int to Python, and not to people.
        if not isinstance(value[key], wanted) or (wanted is int and isinstance(value[key], bool)):
            raise ValueError(f"{kind}: {key!r} must be {wanted.__name__}, not {value[key]!r}")
    return dict(value)


def known(name: str, prompt_id: str, kind: str, completions: Mapping[str, Any]) -> None:
    """Refuse a completion that is not there or answers another prompt.

    Raises:
        ValueError: saying which.
    """
    if name not in completions:
        raise ValueError(f"{kind} of prompt {prompt_id!r}: there is no completion {name!r}; add it to the store first")
    other = completions[name].prompt_id
    if other != prompt_id:
        raise ValueError(f"{kind} of prompt {prompt_id!r}: completion {name!r} answers prompt {other!r}")


def named(criterion: str, what: str) -> None:
    """Refuse a criterion without a name.

    Raises:
        ValueError: saying of what.
    """
    if not criterion.strip():
        raise ValueError(f"{what}: name the criterion (`overall` if there is but one)")
