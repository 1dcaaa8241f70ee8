"""Every form of answers, from every format of records."""

import gzip
import json

import numpy as np
import pytest
from folders import CHOICE, answers, asked, bring, mapping, png, said, wav, write

from harken.data.blobs import Blobs
from harken.data.prompts import load_prompts
from harken.feedback.exchange.load import import_data
from harken.feedback.exchange.mapping import read_mapping
from harken.feedback.store import FeedbackStore
from harken.types import Audio, Image, Text

RECORDS = [asked(0), asked(1, said="no", who="bob"), asked(1, who="eve")]
WANTED = [("ada", (("yes",),), ("no",)), ("bob", (("no",),), ("yes",)), ("eve", (("yes",),), ("no",))]
CELLS = [["id", "question", "said", "who"], *([r["id"], r["question"], r["said"], r["who"]] for r in RECORDS)]


def table(delimiter: str, end: str = "\n") -> str:
    return end.join(delimiter.join(row) for row in CELLS) + end


@pytest.mark.parametrize(
    ("name", "content", "reading"),
    [
        ("a.jsonl", RECORDS, {}),
        ("a.ndjson", "\r\n".join(json.dumps(r) for r in RECORDS), {}),
        ("a.jsonl", "\ufeff" + "\n\n".join(json.dumps(r) for r in RECORDS), {}),
        ("a.json", json.dumps(RECORDS), {}),
        ("a.json", json.dumps({"data": {"all": RECORDS}}), {"at": "data.all"}),
        ("a.json", json.dumps({str(i): r for i, r in enumerate(RECORDS)}), {}),
        ("a.csv", table(","), {}),
        ("a.csv", "\ufeff" + table(",", "\r\n"), {}),
        ("a.tsv", table("\t"), {}),
        ("a.data", table(","), {"format": "csv"}),
        ("a.csv.gz", gzip.compress(table(",").encode(), mtime=0), {}),
        ("a.zip", {"in/a.csv": table(","), "__MACOSX/in/._a.csv": b"\x00\x05"}, {"files": "in/*.csv", "zip": "*.zip"}),
        ("a.npz", {n: np.array(c) for n, c in zip(CELLS[0], zip(*CELLS[1:], strict=True), strict=True)}, {}),
    ],
)
def test_every_format_reads_the_same(tmp_path, name, content, reading):
    done = bring(tmp_path, {name: content}, records={"files": name, **reading})
    assert said(tmp_path) == WANTED
    assert (done.records, done.prompts, done.completions, done.annotators) == (3, 2, 4, 3)


def test_plain_lines_and_what_harken_knows_of_a_record(tmp_path):
    bring(
        tmp_path,
        {"notes.txt": "a b\r\nc\n\nd\n"},
        True,
        records={"files": "*.txt"},
        prompt={"id": "{@file}-{@row}", "parts": [{"text": "{value}"}]},
        answers=[{"comparison": {"choice": "a", "annotator": "me"}}],
    )
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        assert [p.id for p in store.prompts()] == ["toy/notes-0", "toy/notes-1", "toy/notes-3"]


def test_ratings_of_lists_objects_and_fields(tmp_path):
    rating = {"annotator": "e{@index}", "low": 0, "high": 10}
    record = {"id": "q", "question": "?", "list": [0, 9.6, 10], "who": {"ada": 2, "bob": 8}, "one": "3", "two": 4}
    forms = [
        {"rating": {**rating, "field": "list"}},
        {"rating": {**rating, "field": "who", "annotator": "{@key}", "completion": 1}},
        {"rating": {**rating, "field": ["one", "two"], "annotator": "{@field}", "low": 10, "high": 0, "levels": 6}},
        {"rating": {**rating, "field": "grades", "annotator": "me", "per": "completion"}},
    ]
    bring(tmp_path, {"a.jsonl": [{**record, "grades": [1, 2]}]}, answers=forms)
    assert said(tmp_path) == [
        ("e0", "yes", 1, 11),
        ("e1", "yes", 11, 11),
        ("e2", "yes", 11, 11),
        ("ada", "no", 3, 11),
        ("bob", "no", 9, 11),
        ("one", "yes", 5, 6),
        ("two", "yes", 4, 6),
        ("me", "yes", 2, 11),
        ("me", "no", 3, 11),
    ]


def test_a_list_of_objects_names_its_annotators(tmp_path):
    votes = [{"by": "ada", "v": "yes", "s": 1.5}, {"by": "bob", "v": "no"}]
    form = {"choice": {"field": "votes.*.v", "annotator": "{@item.by}", "seconds": "{@item.s?}"}}
    bring(tmp_path, {"a.jsonl": [asked(0, votes=votes)]}, answers=[form])
    assert said(tmp_path) == [("ada", (("yes",),), ("no",)), ("bob", (("no",),), ("yes",))]
    assert [answer.seconds for answer in answers(tmp_path)] == [1.5, None]


def test_comparisons_by_value_and_as_chosen_and_rejected(tmp_path):
    choices = {"1": "a", 2: "b", "same": "tie", "neither": "both_bad"}
    records = [{"x": f"x{i}", "y": f"y{i}", "won": won} for i, won in enumerate([1, "2", "same", "neither"])]
    bring(
        tmp_path,
        {"a.jsonl": records},
        prompt={"parts": [{"text": "Which?"}]},
        completions={"texts": ["{x}", "{y}"], "policy": ["left", "right"]},
        answers=[
            {"comparison": {"field": "won", "choices": choices, "annotator": "me"}},
            {"comparison": {"choice": "a", "a": 1, "b": 0, "annotator": "set", "kind": "model"}},
        ],
    )
    by_value = [("me", f"x{i}", f"y{i}", c) for i, c in enumerate(["a", "b", "tie", "both_bad"])]
    fixed = [("set", f"y{i}", f"x{i}", "a") for i in range(4)]
    assert sorted(said(tmp_path)) == sorted(by_value + fixed)
    assert {a.annotator_kind for a in answers(tmp_path) if a.annotator == "toy/set"} == {"model"}
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        assert {c.policy for c in store.completions()} == {"left", "right"}


@pytest.mark.parametrize(
    ("ranking", "fields", "tiers", "rest"),
    [
        ({"field": "r"}, {"r": ["C", "A", "B"]}, (("C",), ("A",), ("B",)), ()),
        ({"field": "r"}, {"r": [["C", "A"]]}, (("C", "A"),), ("B",)),
        ({"field": "r", "by": "number", "first": 1}, {"r": [2, 1]}, (("B",), ("A",)), ("C",)),
        ({"field": "r", "by": "rank"}, {"r": [2, 1, 2]}, (("B",), ("A", "C")), ()),
        ({"field": ["ra", "rb", "rc"], "by": "rank"}, {"ra": "3", "rb": "1", "rc": "2"}, (("B",), ("C",), ("A",)), ()),
        ({"field": "r", "by": "rank", "blanks": True}, {"r": [None, 1, 2]}, (("B",), ("C",)), ("A",)),
    ],
)
def test_rankings(tmp_path, ranking, fields, tiers, rest):
    bring(
        tmp_path,
        {"a.jsonl": [asked(0, **fields)]},
        completions={"texts": ["A", "B", "C"]},
        answers=[{"ranking": {"annotator": "{who}", **ranking}}],
    )
    assert said(tmp_path) == [("ada", tiers, rest)]


def test_rankings_of_several_and_of_nobody(tmp_path):
    records = [asked(0, r={"ada": [1, 2], "bob": [2, 1]}), asked(1, r={"ada": [None, None]}), asked(2)]
    form = {"ranking": {"field": "r", "by": "rank", "annotator": "{@key}", "blanks": True}}
    done = bring(tmp_path, {"a.jsonl": records}, answers=[form])
    assert said(tmp_path) == [("ada", (("yes",), ("no",)), ()), ("bob", (("no",), ("yes",)), ())]
    assert done.notices == ("2 records say nothing: their prompts came in without answers",)


def test_edits_bring_their_revision(tmp_path):
    form = {"edit": {"field": "better", "annotator": "{who}", "completion": 1, "blanks": True}}
    bring(tmp_path, {"a.jsonl": [asked(0, better="surely not"), asked(1, better=None)]}, answers=[form])
    assert said(tmp_path) == [("ada", "no", "surely not")]


def test_counts_of_a_crowd(tmp_path):
    forms = [
        {"counts": {"annotator": "crowd", "grades": {"bad": 1, "good": 2}, "completion": 1}},
        {"counts": {"annotator": "crowd", "choices": {"y": "yes", "n": "no"}}},
    ]
    done = bring(tmp_path, {"a.jsonl": [asked(0, bad=3, good=0, y="2", n=1)]}, answers=forms)
    assert said(tmp_path) == [
        ("crowd", "no", 1, 2),
        ("crowd", (("yes",),), ("no",)),
        ("crowd", (("no",),), ("yes",)),
    ]
    assert [answer.count for answer in answers(tmp_path)] == [3, 2, 1]
    assert (done.people, done.annotators) == (6, 1)


def test_completions_from_a_list(tmp_path):
    record = asked(0, options=[{"t": "Tea", "by": "m1"}, {"t": "Milk", "by": "m2"}], said="Milk")
    completions = {"field": "options", "text": "{@item.t}", "policy": "{@item.by}"}
    bring(tmp_path, {"a.jsonl": [record]}, completions=completions)
    assert said(tmp_path) == [("ada", (("Milk",),), ("Tea",))]
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        assert [(c.text, c.policy) for c in store.completions()] == [("Tea", "m1"), ("Milk", "m2")]


def test_joins_and_extracts_and_facts_keep_their_types(tmp_path):
    files = {"a.jsonl": [asked("s1-4", topic=7)], "topics.csv": "n,name\n7,Numbers\n8,Words\n"}
    bring(
        tmp_path,
        files,
        records={
            "files": "*.jsonl",
            "extract": {"id": r"^qs(?P<speaker>\d)-(?P<take>\d)(?P<more>x)?$"},
            "joins": [{"file": "topics.csv", "name": "about", "key": "{n}", "match": "{topic}"}],
        },
        prompt={
            "parts": [{"text": "{{{about.name}}}: {question}"}, {"text": "{none?}"}],
            "system": "Be brief.",
            "facts": {"topic": "{topic}", "speaker": "{speaker}", "more": "{more?}", "fixed": 3},
            "references": ["{none?}", "{said}"],
        },
    )
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        (prompt,) = store.prompts()
    assert dict(prompt.facts) == {"topic": 7, "speaker": "1", "fixed": 3}
    assert [m.role for m in prompt.messages] == ["system", "user"]
    assert prompt.messages[1].parts == (Text("{Numbers}: Is s1-4 even?"),)
    assert prompt.references == ("yes",)


def test_media_from_files_zips_and_ranges_and_back_by_prompts_jsonl(tmp_path):
    tone = wav(np.sin(np.arange(80) / 3).astype(np.float32))
    pictures = [png(1), png(22)]
    data = np.frombuffer(b"".join(pictures), dtype=np.uint8)
    files = {
        "a.jsonl": [asked(0, pic="p/0.png", n=0), asked(1, pic="p/0.png", n=1)],
        "p/0.png": png(0),
        "a.zip": {"s/q0.wav": tone, "s/q1.wav": tone},
        "m.npz": {"bytes": data, "at": np.cumsum([0, *map(len, pictures)])},
    }
    parts = [
        {"image": "{pic}"},
        {"audio": {"file": "s/{id}.wav", "zip": "{@file}.zip"}},
        {"image": {"npz": "m.npz", "row": "{n}", "data": "bytes", "offsets": "at"}},
        {"text": "{question}"},
    ]
    done = bring(tmp_path, files, prompt={"id": "{id}", "parts": parts})
    assert done.media == {"images": 3, "audio": 1}
    blobs = Blobs(tmp_path / "out" / "blobs")
    loaded = load_prompts(tmp_path / "out" / "prompts.jsonl", Blobs(tmp_path / "again"))
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        assert list(loaded) == store.prompts()
    for i, prompt in enumerate(loaded):
        first, sound, second, _ = prompt.messages[0].parts
        assert isinstance(first, Image) and isinstance(sound, Audio) and isinstance(second, Image)
        assert [blobs.read(p.sha256) for p in (first, sound, second)] == [png(0), tone, pictures[i]]


def test_twice_adds_nothing_and_more_files_add_what_is_new(tmp_path):
    first = bring(tmp_path, {"a.jsonl": [asked(0), asked(0), asked(1)]})
    assert first.new == (2, 4, 3)
    again = bring(tmp_path, {"b.jsonl": [asked(0), asked(2)]})
    assert again.new == (1, 2, 1)
    assert again.notices == ("1 answers are in several files word for word, and were taken once",)
    assert len(answers(tmp_path)) == 4


def test_a_part_first_and_then_the_whole(tmp_path):
    data = write(tmp_path / "data", {"a.jsonl": [asked(i % 3) for i in range(9)]})
    read = read_mapping(mapping(tmp_path))
    assert import_data(read, data, tmp_path / "out", 4).new == (3, 6, 4)
    assert import_data(read, data, tmp_path / "out").new == (0, 0, 5)


def test_two_data_sets_share_a_folder(tmp_path):
    data = write(tmp_path / "data", {"a.jsonl": [asked(0)]})
    path = mapping(tmp_path)
    import_data(read_mapping(path), data, tmp_path / "out")
    other = path.rename(tmp_path / "other.yaml")
    assert import_data(read_mapping(other), data, tmp_path / "out").new == (1, 2, 1)
    assert {a.annotator for a in answers(tmp_path)} == {"toy/ada", "other/ada"}


def test_files_are_left_out_and_hidden_ones_never_read(tmp_path):
    files = {"a.jsonl": [asked(0)], "all.jsonl": "no JSON", "._a.jsonl": b"\x00\xff"}
    assert bring(tmp_path, files, records={"files": "*.jsonl", "without": "all.jsonl"}).records == 1


def test_empty_answers_come_in_where_the_mapping_says_so(tmp_path):
    completions = {"texts": ["{x}", "no"], "empty": True}
    form = {"comparison": {"choice": "b", "annotator": "me"}}
    bring(tmp_path, {"a.jsonl": [asked(0, x=" ")]}, completions=completions, answers=[form])
    assert said(tmp_path) == [("me", "", "no", "b")]


def test_a_name_with_letters_of_patterns_is_a_name(tmp_path):
    files = {"a[1].jsonl": [asked(0)], "a1.jsonl": "no JSON"}
    assert bring(tmp_path, files, records={"files": "a[1].jsonl"}).records == 1
    assert CHOICE["records"] == {"files": "*.jsonl"}
