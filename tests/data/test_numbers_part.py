"""A part of numbers through the room: written in a record, kept once, split, sent, written out again."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_media import png

from harken.data.blobs import Blobs
from harken.data.clean import clean, count_modalities, leaks, split
from harken.data.media.limits import Limits, MediaError
from harken.data.media.numbers import decode, encode_csv, read
from harken.data.openai import part_of_message, read_messages
from harken.data.prompts import files_of, load_prompts, save_prompts
from harken.data.record import FieldError, read_record, write_record
from harken.types import Message, Numbers, Prompt, Text

CSV = b"x,y\n1,2\n3.5,-4\n"
SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 3)), elements=SINGLE)


def record(*parts: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "Is it rising?"}]}]}


def test_every_way_to_write_numbers_gives_the_same_prompt(blobs, tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "a.json").write_text("[[1, 2], [3.5, -4]]")
    uri = "data:application/json;base64,W1sxLCAyXSwgWzMuNSwgLTRdXQ=="
    values = [[1, 2], [3.5, -4.0]]
    named = [
        {"type": "numbers", "numbers": "a.csv"},
        {"type": "numbers", "path": "a.csv"},
        {"type": "numbers", "url": "a.csv"},
        {"type": "numbers", "values": values, "names": ["x", "y"]},
        {"type": "input_numbers", "input_numbers": {"values": values, "names": ["x", "y"]}},
    ]
    nameless = [
        {"type": "numbers", "numbers": "a.json"},
        {"type": "numbers", "numbers": uri},
        {"type": "numbers", "values": values},
    ]
    for ways in (named, nameless):
        assert len({read_record(record(part), blobs, tmp_path).messages for part in ways}) == 1
    (part, _) = read_record(record(named[0]), blobs, tmp_path).messages[0].parts
    assert read(blobs.read(part.sha256)).names == ("x", "y")
    assert blobs.read(part.sha256) == b'"x","y"\n1,2\n3.5,-4\n'


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_a_prompt_is_written_and_read_again(blobs: Blobs, values):
    folder = blobs.folder.parent
    given_ = record({"type": "numbers", "values": values.tolist()})
    prompt = read_record({**given_, "id": "one"}, blobs, folder)
    part = prompt.messages[0].parts[0]
    assert np.array_equal(decode(blobs.read(part.sha256)), values)
    name = blobs.export(part.sha256, "numbers", folder / "media")
    assert name.endswith(".csv")
    written = write_record(prompt, {part.sha256: f"media/{name}"})
    assert read_record(json.loads(json.dumps(written)), blobs, folder) == prompt
    save_prompts([prompt], folder / "saved" / "prompts.jsonl", blobs)
    assert len(files_of(folder / "saved" / "prompts.jsonl")) == 2
    assert load_prompts(folder / "saved" / "prompts.jsonl", Blobs(folder / "other")) == [prompt]
    said = [{"role": "user", "content": [part_of_message(one, blobs, 8_000) for one in prompt.messages[0].parts]}]
    assert read_messages(json.loads(json.dumps(said)), blobs) == prompt.messages


@pytest.mark.parametrize(
    ("part", "field", "words"),
    [
        ({"type": "numbers"}, "", "no numbers in it"),
        ({"type": "numbers", "values": [1], "numbers": "a.csv"}, ".numbers", "no one reads"),
        ({"type": "numbers", "numbers": 3}, ".numbers", "instead of a string"),
        ({"type": "numbers", "numbers": "gone.csv"}, ".numbers", "no such file"),
        ({"type": "numbers", "numbers": "a.png"}, ".numbers", "not UTF-8"),
        ({"type": "numbers", "numbers": "data:image/png;base64,AA=="}, ".numbers", "but the part is numbers"),
        ({"type": "numbers", "numbers": "data:text/csv,1"}, ".numbers", "write data:text/csv...;base64"),
        ({"type": "numbers", "values": [[1], [2, 3]]}, ".values", "step 2 has 2 numbers"),
        ({"type": "numbers", "values": [1, 2], "names": ["x"]}, ".values", "1 names for 2 channels"),
        ({"type": "numbers", "values": {}}, ".values", "no list"),
        ({"type": "input_numbers", "input_numbers": [1]}, ".input_numbers", "instead of an object"),
        ({"type": "input_numbers", "input_numbers": {}}, ".input_numbers.values", "no list"),
        ({"type": "number", "values": [1]}, ".type", "did you mean 'numbers'"),
    ],
)
def test_a_bad_part_is_an_error_with_its_place(blobs, tmp_path, part, field, words):
    (tmp_path / "a.png").write_bytes(png())
    with pytest.raises(FieldError, match=words) as error:
        read_record(record(part), blobs, tmp_path)
    assert error.value.field == f"messages[0].content[0]{field}"


@pytest.mark.parametrize("column", ["numbers", "series", "timeseries", "time_series"])
def test_a_column_of_numbers_that_no_one_reads_is_refused(blobs, tmp_path, column):
    with pytest.raises(FieldError, match="a column of media that no one reads"):
        read_record({**record(), column: [1, 2]}, blobs, tmp_path)


def test_how_much_is_taken(tmp_path):
    limits = Limits(numbers_bytes=40, steps=3, columns=2)
    blobs = Blobs(tmp_path, limits)
    assert blobs.put(b"1,2\n3,4\n5,6\n", "numbers") == blobs.put(b"[[1,2],[3,4],[5,6.0]]", "numbers")
    for data, words in (
        (b"1\n2\n3\n4\n", "4 steps, more than the 3"),
        (b"1,2,3\n", "3 channels, more than the 2"),
        (b"1," * 30 + b"1", "61 bytes, more than the 40"),
        # Short as it came, and longer in the form that is kept.
        (b"-1e9,-1e9\n" * 3, r"\d+ bytes, more than the 40"),
    ):
        with pytest.raises(MediaError, match=words):
            blobs.put(data, "numbers")
    with pytest.raises(ValueError, match="steps must be above 0"):
        Limits(steps=0)


def test_media_of_other_kinds_are_told_apart(blobs):
    for data in (png(), b"<svg>", b""):
        with pytest.raises(MediaError):
            blobs.put(data, "numbers")
    with pytest.raises(MediaError, match="not a picture"):
        blobs.put(CSV, "image")


def test_numbers_count_for_duplicates_leaks_and_splits(blobs):
    one, other = (Numbers(blobs.put(data, "numbers")) for data in (b"1,2", b"3,4"))
    rows = [(one, "a"), (one, "b"), (other, "b"), (one, "a")]
    prompts = [Prompt(f"p{n}", (Message("user", (part, Text(text))),)) for n, (part, text) in enumerate(rows)]
    assert [duplicate.id for duplicate in clean(prompts).duplicates] == ["p3"]
    assert count_modalities(prompts) == {"numbers+text": 4}
    (leak,) = leaks(prompts[:1], prompts[1:3])
    assert (leak.what, leak.key) == ("numbers", one.sha256)
    many = [
        Prompt(f"q{n}", (Message("user", (Numbers(blobs.put(f"{n // 2}".encode(), "numbers")), Text(str(n)))),))
        for n in range(40)
    ]
    assert not leaks(*split(many, {"train": 0.5, "test": 0.5}).values())


def test_kept_numbers_are_what_was_encoded(blobs):
    values = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    assert np.array_equal(decode(blobs.read(blobs.put(encode_csv(values), "numbers"))), values)
