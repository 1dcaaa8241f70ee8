"""Spaces of values as users write them."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harken.pipeline.space import Choice, Range, SpaceError, parse_space


@pytest.mark.parametrize(
    ("said", "space"),
    [
        ("1e-4..1e-2:log", Range(1e-4, 1e-2, log=True)),
        ("16..64", Range(16, 64)),
        ("16..64:log", Range(16, 64, log=True)),
        (" 0.5 .. 2 ", Range(0.5, 2)),
        ("-1..-.5", Range(-1, -0.5)),
        ("32|64|128", Choice(("32", "64", "128"))),
        ("none | cosine", Choice(("none", "cosine"))),
        ([32, 64], Choice(("32", "64"))),
    ],
)
def test_spaces_are_read(said, space):
    assert parse_space("a.b", said) == space


def test_both_ends_whole_is_whole_numbers():
    assert parse_space("k", "16..64").whole
    assert not parse_space("k", "16..64.0").whole
    assert parse_space("k", "16..64").holds(16)
    assert not parse_space("k", "16..64").holds(16.5)
    assert not parse_space("k", "0..1").holds(True)


def test_choices_are_yaml():
    assert parse_space("k", "null|true|1e-4|[1, 2]|word").probes() == (None, True, 1e-4, [1, 2], "word")
    listed = [None, 0.5, [1, 2], "a: b", {"x": 1}, "1..2"]
    assert list(parse_space("k", listed).probes()) == listed


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("64..16", "is empty.*smaller end first"),
        ("5..5", "is empty"),
        ("0..1:log", "above 0.*leave :log out"),
        ("-2..1:log", "above 0"),
        ("1..2:lin", "ends in :log"),
        ("1..1e999", "too large"),
        ("64", "LOW..HIGH"),
        ("a..b", "LOW..HIGH"),
        (64, "nothing to search"),
        ("", "LOW..HIGH"),
        ("1|", "two or more values"),
        ("1|1", "each once"),
        ([3], "two or more"),
        ("[|2", "no YAML"),
    ],
)
def test_a_wrong_space_names_key_and_mend(said, words):
    with pytest.raises(SpaceError, match=rf"^sft\.rate: .*{words}"):
        parse_space("sft.rate", said)


whole = st.integers(-(10**9), 10**9)
real = st.floats(-1e100, 1e100).filter(lambda number: number != 0)


@given(st.tuples(st.one_of(whole, real), st.one_of(whole, real)).filter(lambda ends: ends[0] < ends[1]), st.booleans())
def test_a_range_is_read_back_as_it_is_written(ends, log):
    space = Range(*ends, log=log and ends[0] > 0)
    found = parse_space("k", str(space))
    assert found == space
    assert found.whole == space.whole
    assert all(space.low <= probe <= space.high for probe in space.probes())


@given(st.lists(st.one_of(st.integers(), st.booleans(), st.none(), st.text("abcxyz", min_size=1)), min_size=2))
def test_choices_are_read_back_as_they_are_written(values):
    labels = [str(yaml.safe_dump(value)).split("\n...")[0].strip() for value in values]
    try:
        space = parse_space("k", values)
    except SpaceError:
        assert any(a == b for n, a in enumerate(values) for b in values[:n])
        return
    assert space.labels == tuple(labels)
    assert parse_space("k", str(space)) == space
    assert all(space.value(space.label(value)) == value for value in values)
