"""What is wrong with a request's fields, in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any

WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "less_than_equal": "is at most {le}",
    "greater_than_equal": "is at least {ge}",
    "greater_than": "is more than {gt}",
    "less_than": "is less than {lt}",
    "string_too_long": "has at most {max_length} letters",
    "string_too_short": "has at least {min_length} letters",
    "too_long": "has at most {max_length} entries",
    "too_short": "has at least {min_length} entries",
    "string_pattern_mismatch": "has the form {pattern}",
    "literal_error": "is one of {expected}",
    "finite_number": "is a finite number",
    "union_tag_invalid": "is of a kind that is not known here; there are {expected_tags}",
    "union_tag_not_found": "says of which kind it is as {discriminator}",
    "model_attributes_type": "is an object",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "is a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "is a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "is true or false"),
    **dict.fromkeys(("dict_type", "mapping_type"), "is an object"),
    "list_type": "is a list",
    "string_type": "is a text",
}
"""By pydantic's names of mistakes."""
MOST = 5
"""Mistakes of one request that are named."""


def in_words(found: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic found wrong, in words."""
    said = [f"{_place(one['loc'])} {_what(one)}" for one in found[:MOST]]
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return "; ".join(said + more)


def _place(found: Sequence[object]) -> str:
    """Where: a field of the body by its name, a parameter with where it stands."""
    inner = found[1:] if len(found) > 1 and found[0] == "body" else found
    return "the body" if inner == ("body",) else ".".join(map(str, inner))[:200]


def _what(one: Mapping[str, Any]) -> str:
    words = WORDS.get(one["type"])
    return f"is wrong: {one['msg']}" if words is None else words.format_map(one.get("ctx", {}))
