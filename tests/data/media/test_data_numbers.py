"""Numbers: the same ones back to the last bit of 32, one form for each, and a word for whatever is wrong."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harken.data.media.limits import MediaError
from harken.data.media.numbers import decode, encode_csv, excerpt, read, table, to_json

SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=SINGLE)
LETTERS = st.characters(categories=["L", "N", "P", "S"])
NAMES = st.text(LETTERS, min_size=1, max_size=9).filter(lambda name: name[0] not in "=+-@")


@given(VALUES)
@example(np.array([[1e-45, 3.4028235e38, -0.0, 16777217]], np.float32))
def test_the_same_numbers_come_back_and_have_one_form(values):
    kept = encode_csv(values)
    back = decode(kept)
    assert back.dtype == np.float32
    assert np.array_equal(back, values)
    assert encode_csv(back) == kept
    plain = [[float(number) for number in step] for step in values]
    for other in (json.dumps(plain), "\r\n".join(", ".join(map(repr, step)) for step in plain)):
        assert encode_csv(decode(other.encode("utf-8-sig"))) == kept
    assert np.array_equal(table(to_json(read(kept))["values"]).values, values)


@given(
    st.lists(NAMES | st.sampled_from([";", "1", "nan", "1e5", "a;b", "[x]", "{", '"', "a, b"]), min_size=1, max_size=4)
)
@example(["ID3"])
def test_names_that_are_taken_come_back(names):
    try:
        kept = encode_csv(np.ones((2, len(names))), names)
    except MediaError:
        taken = [name for name in names if not is_number(name) and ";" not in name]
        assert len(set(taken)) < len(names)
        return
    assert read(kept).names == tuple(names)
    assert encode_csv(read(kept).values, read(kept).names) == kept
    assert to_json(read(kept))["names"] == names


def is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def test_numbers_are_written_as_people_write_them():
    assert encode_csv(np.array([[1_000_000, 2**24, -7.25]])) == b"1000000,16777216,-7.25\n"
    assert encode_csv(np.array([[0.1, 2], [-3, 1e-10]])) == b"0.1,2\n-3,1e-10\n"
    assert encode_csv(np.array([[1.5]]), ["x"]) == b'"x"\n1.5\n'


def test_one_line_is_one_step_and_so_is_a_flat_list():
    assert decode(b"1,2,3").shape == decode(b"[1, 2, 3]").shape == (1, 3)
    assert decode(b"1\n2\n3\n\n").shape == decode(b"[[1],[2],[3]]").shape == (3, 1)
    found = read(b'"[Na+]", weight in kg\r\n140,71.5\r\n')
    assert (found.names, found.values.tolist()) == (("[Na+]", "weight in kg"), [[140.0, 71.5]])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\x89PNG\r\n\x1a\n", "byte 1 is not UTF-8"),
        (b"1,2\n3\n", r"line 2 has 1 columns, the first has 2"),
        (b"x,y\n1,2,3\n", r"line 2 has 3 columns, the first has 2"),
        (b"1,2\n3,abc\n", r"line 2, column 2: 'abc' is no number"),
        (b"1,abc\n3,4\n", r"line 1, column 2: 'abc' is no number"),
        (b"1,2\n3,\n", r"line 2, column 2 is empty"),
        (b"1,2\n\n3,4\n", r"line 2 is empty, and others come after"),
        (b"1,nan\n", r"line 1, column 2: nan is not finite"),
        (b"1\n-Infinity\n", r"line 2, column 1: -inf is not finite"),
        (b"1\n1e39\n", r"line 2, column 1: 1e\+39 is not finite in 32 bits"),
        (b"1\n1_000\n", r"line 2, column 1: '1_000' is no number"),
        ("1\n\u0661\n".encode(), r"line 2, column 1: .* is no number"),
        (b"1;2\n3;4\n", r"commas part columns"),
        (b"1\t2\n", r"commas part columns"),
        (b"x,y\n", "no numbers below"),
        (b"x,\n1,2\n", r"line 1, column 2: '' is no name"),
        (b"x,x\n1,2\n", "two channels have one name"),
        (b"=cmd(),y\n1,2\n", r"line 1, column 1: '=cmd\(\)' does not begin"),
        (b'x"y,z\n"1,2\n', "no CSV|no number"),
        (b"[]", "empty one"),
        (b"[[]]", "step 1 has 0 numbers"),
        (b"[[1],[2,3]]", "step 2 has 2 numbers, and step 1 has 1"),
        (b"[[1],2]", "step 2 is 2 and no list"),
        (b"[1,[2]]", r"step 1, channel 2: \[2\] is no number"),
        (b"[true]", "step 1, channel 1: True is no number"),
        (b'["1"]', "step 1, channel 1: '1' is no number"),
        (b"[NaN]", "NaN among the numbers"),
        (b"[1e39]", r"step 1, channel 1: 1e\+39 is not finite"),
        (b"[1" + b"0" * 400 + b"]", "not finite"),
        (b"[1" + b"0" * 9000 + b"]", "begin as JSON and are none"),
        (b"[1, 2", "begin as JSON and are none"),
        (b'{"values": [1]}', "no list"),
        (b"[" * 100_000, "nested too deeply|begin as JSON"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data, words):
    with pytest.raises(MediaError, match=words):
        read(data)


@given(st.binary(max_size=80) | st.text("0123456789.,-e+x\"'\n\r;[]{}", max_size=60).map(str.encode))
def test_whatever_comes_is_numbers_or_an_error_in_words(data):
    try:
        found = read(data)
    except MediaError:
        return
    assert np.isfinite(found.values).all()
    assert read(encode_csv(found.values, found.names)).names == found.names


@pytest.mark.parametrize(
    ("values", "names", "words"),
    [
        ([1], 3, "no list"),
        ([1, 2], ["x"], "1 names for 2 channels"),
        ([1], [""], "is no name"),
        ([1], ["1"], "is a number"),
        ("12", [], "no list"),
    ],
)
def test_plain_data_that_is_none(values, names, words):
    with pytest.raises(MediaError, match=words):
        table(values, names)


def test_nothing_and_what_is_not_finite_is_not_written():
    for values in (np.zeros((0, 2)), np.array([[np.inf]]), np.array([[1e39]])):
        with pytest.raises(ValueError, match="numbers of shape"):
            encode_csv(values)


def test_an_excerpt_says_how_much_is_left_out():
    kept = encode_csv(np.arange(5.0)[:, None], ["x"])
    assert excerpt(kept, 3) == '"x"\n0\n1\n... 3 more'
    assert excerpt(kept) == kept.decode().strip()
