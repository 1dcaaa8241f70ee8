"""Numbers in front of annotators: taken in, drawn from what comes with the turn, a file that no browser runs."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from starlette.testclient import TestClient

from harken.data.blobs import Blobs
from harken.data.media.numbers import Table, encode_csv
from harken.feedback.exchange.door import Place, export_file, import_file
from harken.feedback.store import FeedbackStore
from harken.studio.series import BINS, LINES, ROWS, series_shown
from harken.studio.state import Studio
from harken.types import Completion, Message, Numbers, Prompt, Text

CSV = b'"glucose","heart rate"\n5.1,60\n7.25,72\n6,66\n'


@pytest.fixture
def slug(people) -> str:
    """A project of one item, whose prompt has a series and a vector."""
    studio: Studio = people.studio
    parts = (
        Numbers(studio.blobs.put(CSV, "numbers")),
        Numbers(studio.blobs.put(b"[1, 2.5]", "numbers")),
        Text("Is it rising?"),
    )
    studio.store.add_prompts([Prompt("series", (Message("user", parts),))])
    studio.store.add_completions([Completion(f"s{k}", "series", text, "m") for k, text in enumerate(("yes", "no"))])
    settings = {"title": "Series", "prompts": ["series"]}
    told = people.client("olga", "owner").post("/api/v1/projects", json={"settings": settings})
    assert told.status_code == 201, told.text
    return str(told.json()["slug"])


def taken(client: TestClient, slug: str) -> dict:
    told = client.post(f"/api/v1/projects/{slug}/next", json={"tab": "t", "want": 1, "holding": []})
    return told.json()["items"][0]


def test_an_annotator_gets_lines_and_a_table(people, slug):
    ann = people.client("ann")
    item = taken(ann, slug)
    series, vector, text = item["prompt"][0]["parts"]
    assert text["text"] == "Is it rising?"
    assert (series["type"], series["steps"], series["channels"]) == ("numbers", 3, 2)
    assert series["names"] == ["glucose", "heart rate"]
    assert series["rows"] == [[1, 5.1, 60.0], [2, 7.25, 72.0], [3, 6.0, 66.0]]
    assert [(line["low"], line["high"], line["first"], line["last"]) for line in series["lines"]] == [
        (5.1, 7.25, 5.1, 6.0),
        (60.0, 72.0, 60.0, 66.0),
    ]
    assert series["lines"][1]["points"] == [[0.0, 0.0], [0.5, 1.0], [1.0, 0.5]]
    assert (vector["lines"], vector["rows"], vector["names"]) == ([], [[1, 1.0, 2.5]], [])
    answer = {"key": item["key"], "said": {"choice": item["candidates"][0]["id"]}, "seconds": 1.0}
    assert ann.post("/api/v1/answers", json={"answers": [answer]}).json()["results"][0]["status"] == "kept"
    page = ann.get(f"/p/{slug}")
    assert page.status_code == 200
    for word in ("numbers.told", "numbers.values", "numbers.step"):
        assert word in page.text
    script = ann.get("/static/series.js")
    assert (script.status_code, "showNumbers" in script.text) == (200, True)
    assert "showNumbers" in ann.get("/static/prompt.js").text


def test_the_file_is_text_that_no_browser_runs(people, slug):
    ann = people.client("ann")
    told = ann.get(taken(ann, slug)["prompt"][0]["parts"][0]["url"])
    assert (told.status_code, told.content) == (200, CSV)
    assert told.headers["content-type"] == "text/csv; charset=utf-8"
    assert told.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in told.headers["content-security-policy"]
    assert ann.get(f"{told.url.path}/peaks").status_code == 404


def test_numbers_are_uploaded_in_either_form_and_kept_once(people):
    ann = people.client("ann")
    first = ann.post("/api/v1/media?kind=numbers", content=b"[[1, 2], [3, 4]]")
    again = ann.post("/api/v1/media?kind=numbers", content="\ufeff1, 2\r\n3.0, 4\r\n".encode())
    assert (first.status_code, first.json()) == (201, again.json())
    assert first.json()["rows"] == [[1, 1.0, 2.0], [2, 3.0, 4.0]]
    # A name that begins as a sound's or a picture's file does.
    for name in (b"ID3", b"BM", b"RIFF", b"GIF89a", b"[Na+]"):
        named = ann.post("/api/v1/media?kind=numbers", content=b'"' + name + b'"\n1\n')
        assert named.status_code == 201, named.text
        assert ann.get(named.json()["url"]).headers["content-type"] == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
        (b"<html><script>alert(1)</script></html>", "no numbers below"),
        (b"1,2\n3,x\n", "line 2, column 2: 'x' is no number"),
        (b"1\n" * 100_001, "more than the 100000 allowed"),
    ],
)
def test_what_is_no_numbers_is_refused_with_a_reason(people, data, words):
    told = people.client("ann").post("/api/v1/media?kind=numbers", content=data)
    assert (told.status_code, words in told.json()["error"]) == (422, True), told.text


def test_a_medium_of_another_kind_is_none_in_a_conversation(people):
    ann = people.client("ann")
    sha256 = ann.post("/api/v1/media?kind=numbers", content=b"1,2").json()["sha256"]
    for kind, status in (("audio", 422), ("image", 422)):
        turn = {
            "key": f"turn-of-{kind}",
            "parts": [{"type": kind, "sha256": sha256}],
            "asked": [{"endpoint": 0, "model": "m"}],
        }
        assert ann.post("/api/v1/chat/turns", json=turn).status_code == status


@settings(max_examples=40)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.integers(1, LINES + 2)),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
        fill=st.nothing(),
    )
    | st.integers(1, 5000).map(lambda n: np.random.default_rng(n).standard_normal((n, 1)).astype(np.float32))
)
@example(np.array([[-3.4e38], [3.4e38]], np.float32))
@example(np.full((9, 2), 7, np.float32))
def test_what_is_drawn_reaches_every_peak_and_stays_small(values):
    shown = series_shown(Table(values))
    steps, channels = values.shape
    assert (shown["steps"], shown["channels"]) == (steps, channels)
    assert len(shown["rows"]) == min(steps, ROWS)
    assert (shown["rows"][0][0], shown["rows"][-1][0]) == (1, steps)
    assert len(shown["lines"]) == (min(channels, LINES) if steps > 1 else 0)
    for line, column in zip(shown["lines"], values.T, strict=False):
        assert (line["low"], line["high"]) == (float(str(column.min())), float(str(column.max())))
        assert 2 <= len(line["points"]) <= 2 * BINS
        along, up = np.array(line["points"]).T
        assert (np.diff(along) >= 0).all()
        assert along.min() >= 0 and along.max() <= 1 and np.isfinite(up).all()
        if line["low"] < line["high"]:
            assert (up.min(), up.max()) == (0, 1)


@pytest.mark.parametrize("name", ["trl", "parquet", "label_studio", "argilla", "arena"])
def test_an_export_keeps_numbers_and_an_import_brings_them_back(people, slug, tmp_path, name):
    item = taken(people.client("ann"), slug)
    answer = {"key": item["key"], "said": {"choice": item["candidates"][0]["id"]}, "seconds": 1.0}
    people.client("ann").post("/api/v1/answers", json={"answers": [answer]})
    studio: Studio = people.studio
    file, _ = export_file(name, Place(studio.config.place, studio.blobs.folder), tmp_path / "out")
    other = Place(str(tmp_path / "other.db"), tmp_path / "blobs")
    import_file(name, file, other)
    with FeedbackStore(other.store) as store:
        (found,) = [prompt for prompt in (i.prompt for i in store.stream()) if prompt.id == "series"]
    assert found == studio.prompt("series")
    parts = [part for part in found.messages[0].parts if isinstance(part, Numbers)]
    assert [Blobs(other.blobs).read(part.sha256) for part in parts] == [CSV, b"1,2.5\n"]


@pytest.mark.slow
def test_a_long_series_is_sent_small(people):
    data = encode_csv(np.random.default_rng(0).standard_normal((1500, 14)))
    told = people.client("ann").post("/api/v1/media?kind=numbers", content=data)
    assert (told.status_code, len(told.content) < 150_000) == (201, True)
