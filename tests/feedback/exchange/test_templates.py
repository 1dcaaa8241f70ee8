"""Templates: what is written comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.feedback.exchange.templates import MISSING, RecordError, fill, fill_value, find, number

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(exclude_characters="{}?.*", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(words)
def test_a_text_whose_braces_are_doubled_comes_out_as_it_is(text):
    assert fill(text.replace("{", "{{").replace("}", "}}"), {}) == text.strip()


@given(names, words, words, words)
def test_a_field_is_put_in_as_it_is_braces_and_all(name, value, before, after):
    escaped = [text.replace("{", "{{").replace("}", "}}") for text in (before, after)]
    assert fill(f"{escaped[0]}{{{name}}}{escaped[1]}", {name: value}) == f"{before}{value}{after}".strip()


@given(st.lists(names, min_size=1, max_size=4), st.integers() | st.booleans() | words)
def test_a_path_finds_what_was_nested(path, value):
    fields: object = value
    for step in reversed(path):
        fields = {step: fields}
    assert find(fields, ".".join(path)) == value
    assert fill_value(f"{{{'.'.join(path)}}}", fields) == value
    assert find(fields, ".".join([*path, "no such"])) is MISSING


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300))
def test_a_number_is_itself_also_written_out(value):
    assert number(value, "x") == float(value)
    assert number(str(value), "x") == float(value)


@pytest.mark.parametrize("value", [True, None, "", "nan", "inf", "1e999", "0x10", "1 2", [1], float("nan"), "٣"])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(RecordError, match="is no number"):
        number(value, "x")


def test_lists_items_and_places():
    fields = {"a": [{"b": 1}, {"b": 2.0}, {}], "c.d": 3, "c": {"d": 4}, "e": [True, "x"], "n": None}
    assert find(fields, "a.*.b") == [1, 2.0, MISSING]
    assert find(fields, "a.1.b") == 2.0
    assert find(fields, "a.9.b") is MISSING
    assert find(fields, "c.d") == 3
    assert fill("{e}; {n?}", fields) == "true, x;"
    with pytest.raises(RecordError, match="missing or null in one of its items"):
        fill("{a.*.b}", fields)
