"""Text and values from a record's fields: `{field}`, `{field.inner.0}`, `{field?}` where it may be missing."""

import difflib
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

PLACE = re.compile(r"\{([^{}]+)\}")
TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
MISSING = object()


class RecordError(ValueError):
    """What is wrong with one field of a record, and how to mend it.

    Attributes:
        field: the field's name, or the part of the mapping that reads it.
        why: the rest.
    """

    def __init__(self, field: str, why: str):
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why


def shown(value: object) -> str:
    """A value, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} letters)"


def find(fields: Mapping[str, Any], path: str) -> Any:
    """The value at `a.b.0`; `*` stands for every item of a list. `MISSING` if there is none, or it is null.

    A field whose name is the whole path, dots and all, comes first.
    """
    if path in fields:
        return MISSING if fields[path] is None else fields[path]
    value: Any = fields
    steps = path.split(".")
    for i, step in enumerate(steps):
        if step == "*" and isinstance(value, list):
            rest = ".".join(steps[i + 1 :])
            return [find({"item": item}, f"item.{rest}" if rest else "item") for item in value]
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return MISSING if value is None else value


def value_of(fields: Mapping[str, Any], path: str) -> Any:
    """The value at a path.

    Raises:
        RecordError: if it is missing, naming the nearest field that is there.
    """
    value = find(fields, path)
    if value is MISSING:
        if path in fields:
            raise RecordError(path, f"null; give it a value, or write {{{path}?}} where it may be missing")
        near = difflib.get_close_matches(path, list(fields), 1)
        there = ", ".join(name for name in fields if not name.startswith("@"))
        hint = f"did you mean {near[0]!r}?" if near else f"the record has {there[:300]}"
        raise RecordError(path, f"the record has no such field; {hint}")
    return value


def written(value: Any, field: str) -> str:
    """A value as people write it: true, 3 (also for 3.0), a list with commas.

    Raises:
        RecordError: if it is an object, or lacks something.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case list():
            return ", ".join(written(item, field) for item in value)
        case _ if value is MISSING or value is None:
            raise RecordError(field, "missing or null in one of its items; give it a value")
        case _:
            raise RecordError(field, f"text is wanted, and this is {shown(value)}; name one of its fields")


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """A template with the record's fields put in, without white space around it.

    Raises:
        RecordError: if a field is missing that may not be, or is no text; if a brace stands alone.
    """

    def put(match: re.Match[str]) -> str:
        path = match[1]
        if path is None:
            if match[0] in ("{{", "}}"):
                return match[0][0]
            raise RecordError("", f"{match[0]!r} stands alone in the mapping's {shown(template)}; write it twice")
        if path.endswith("?"):
            path = path[:-1]
            if find(fields, path) is MISSING:
                return ""
        return written(value_of(fields, path), path)

    return TOKEN.sub(put, template).strip()


def fill_value(template: Any, fields: Mapping[str, Any]) -> Any:
    """As `fill`, but a template of one field alone gives its value as it is, and what is no template stays.

    Returns:
        the value; `MISSING` for one field alone that may be missing and is.

    Raises:
        RecordError: as `fill`.
    """
    if not isinstance(template, str):
        return template
    whole = PLACE.fullmatch(template)
    if whole is None:
        return fill(template, fields)
    if whole[1].endswith("?"):
        return find(fields, whole[1][:-1])
    return value_of(fields, whole[1])


def number(value: Any, field: str) -> float:
    """A number, also one that is written as text, as CSV has them.

    Raises:
        RecordError: if it is none.
    """
    # Python alone reads 1_000, inf and nan as numbers.
    if NUMBER.fullmatch(value) if isinstance(value, str) else is_number(value):
        with suppress(OverflowError):
            found = float(value)
            if math.isfinite(found):
                return found
    raise RecordError(field, f"{shown(value)} is no number; correct it, or leave the record out with --skip-bad")


def is_number(value: Any) -> bool:
    """Whether a value is one, and not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool)
