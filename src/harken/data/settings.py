"""Settings from a user's file, checked against a dataclass; an unknown key is an error that names the nearest."""

import dataclasses
import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError


class SettingsError(ValueError):
    """A user's file says what harken does not know."""


def validate(kind: type, value: Any, where: str, error: type[ValueError] = SettingsError) -> Any:
    """Check plain data against a dataclass.

    Args:
        kind: the dataclass.
        value: what a file said.
        where: the path of the value in the file, for errors.
        error: what is raised.

    Raises:
        SettingsError: or `error`, naming each field that is wrong, and for an unknown one the nearest known.
    """
    _refuse_unknown(kind, value, where, error)
    try:
        return _adapter(kind).validate_python(value, strict=False)
    except ValidationError as found:
        lines = []
        for problem in found.errors():
            place = ".".join([where, *map(str, problem["loc"])]).strip(".")
            lines.append(f"{place}: {_words(problem)}")
        raise error("; ".join(lines)) from found


@cache
def _adapter(kind: type) -> Any:
    return TypeAdapter(kind)


def _words(problem: Any) -> str:
    match problem["type"]:
        case "missing":  # it has no value to show; its whole surroundings would be
            return "it is missing"
        case "value_error":  # the dataclass's own words, which say what the value is
            return str(problem["ctx"]["error"])
        case _:
            return f"{problem['msg']} (it is {problem['input']!r})"


def dataclass_of(annotation: Any) -> type | None:
    """The dataclass that an annotation speaks of: `X`, `X | None`, `tuple[X, ...]`, `str | X`.

    The keys of a mapping of dataclasses are anybody's; what is wrong below them, pydantic says.
    """
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return annotation
    if get_origin(annotation) in (Mapping, dict):
        return None
    return next((found for option in get_args(annotation) if (found := dataclass_of(option))), None)


def _refuse_unknown(kind: type, value: Any, where: str, error: type[ValueError]) -> None:
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _refuse_unknown(kind, item, f"{where}.{i}".strip("."), error)
        return
    if not isinstance(value, Mapping):
        return
    known = {entry.name: dataclass_of(entry.type) for entry in dataclasses.fields(kind)}
    for key, inner in value.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise error(f"{'.'.join([where, str(key)]).strip('.')}: there is no such key; {hint}")
        inner_kind = known[key]
        if inner_kind is not None:
            _refuse_unknown(inner_kind, inner, f"{where}.{key}".strip("."), error)
