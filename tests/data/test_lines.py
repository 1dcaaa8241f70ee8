"""Lines of JSON with every letter in them that Python takes for the end of a line."""

import json

from hypothesis import given
from hypothesis import strategies as st

from harken.data.lines import Lines, lines_in, lines_of

LETTERS = st.text(st.sampled_from("ab\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029é😀") | st.characters(codec="utf-8"))


@given(st.lists(LETTERS))
def test_what_was_written_a_line_each_is_read_a_line_each(texts):
    lines = [json.dumps(text, ensure_ascii=False) for text in texts]
    assert [json.loads(line) for line in lines_in("".join(line + "\n" for line in lines))] == texts


@given(st.lists(LETTERS), st.integers(1, 7), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_pieces_of_any_size_make_the_same_lines(texts, size, end, ended):
    lines = [json.dumps(text, ensure_ascii=False) for text in texts]
    data = end.join(lines + [""] * ended).encode()
    cutter, found = Lines(), []
    for start in range(0, len(data), size):
        found += cutter.add(data[start : start + size])
    assert [json.loads(line) for line in [*found, *cutter.rest()]] == texts


def test_a_file_is_read_as_it_was_written(tmp_path):
    (tmp_path / "it.jsonl").write_bytes(b'"a\xe2\x80\xa8b"\n"\xff"\n')
    assert lines_of(tmp_path / "it.jsonl", "replace") == ['"a\u2028b"', '"\ufffd"']
    (tmp_path / "none.jsonl").write_bytes(b"")
    assert lines_of(tmp_path / "none.jsonl") == []
