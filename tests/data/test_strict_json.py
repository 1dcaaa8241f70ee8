"""JSON as its standard has it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.data.record import FieldError
from harken.data.strict_json import parse, parse_line

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30)
@given(plain)
def test_what_json_writes_is_read(value):
    assert parse(json.dumps(value, allow_nan=False)) == value


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"a": 1, "a": 2}', "a: the key is there twice in one object"),
        (b'{"a": {"b": 1, "b": 1}}', "b: the key is there twice"),
        (b"[NaN]", "NaN is not JSON; write null"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b"{", "not JSON"),
        (b"[1],", "no list around them"),
        (b"\xff", "byte 1 of the line is not UTF-8"),
        (b"9" * 5000, "a number that is too long"),
    ],
)
def test_what_is_not_json_is_refused_in_words(line, words):
    with pytest.raises(FieldError) as refused:
        parse_line(line)
    assert words in str(refused.value)
