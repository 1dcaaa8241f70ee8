"""JSON as its standard has it: each key once in an object, no NaN, nothing that Python alone would read."""

import json
from collections.abc import Sequence
from typing import NoReturn

from harken.data.record import FieldError, shown


def parse_line(line: bytes) -> object:
    """The value of one line of JSONL.

    Raises:
        FieldError: as `parse`; and if the bytes are not UTF-8.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise FieldError("", f"byte {error.start + 1} of the line is not UTF-8; save the file as UTF-8") from error
    return parse(text)


def parse(text: str) -> object:
    """The value of a text.

    Raises:
        FieldError: if it is not JSON, or holds a key twice, NaN, or a number of more digits than Python reads.
    """
    try:
        return json.loads(text, object_pairs_hook=no_repeats, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        hint = "write one whole object a line, and no list around them" if text.lstrip()[:1] in "[{]}" else "mend it"
        raise FieldError("", f"not JSON ({error.msg} at letter {error.pos + 1}); {hint}") from error
    except RecursionError as error:
        raise FieldError("", "nested too deeply; flatten it") from error
    except ValueError as error:
        if isinstance(error, FieldError):
            raise
        raise FieldError("", f"a number that is too long ({error}); write it as a string") from error


def no_repeats(pairs: Sequence[tuple[str, object]]) -> object:
    """An object of its keys and values, for `json.loads`.

    Raises:
        FieldError: if a key is there twice.
    """
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise FieldError(
            shown(repeated), "the key is there twice in one object, and only one would be read; remove one"
        )
    return fields


def _no_constant(name: str) -> NoReturn:
    raise FieldError("", f"{name} is not JSON; write null or leave it out")
