"""Bad input: refused with what, where and how to mend it, or counted and listed with skip_bad."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from folders import answers, asked, bring, mapping, said, write

from harken.feedback.exchange.load import Stopped, import_data
from harken.feedback.exchange.mapping import MappingError, find_mapping, read_mapping
from harken.feedback.exchange.tables import DataError
from harken.feedback.store import FeedbackStore

RATING = [{"rating": {"field": "said", "annotator": "{who}", "low": 1, "high": 5}}]
NUMBER = [{"choice": {"field": "said", "annotator": "{who}", "by": "number"}}]
TABLE = [{"comparison": {"field": "said", "choices": {"yes": "a"}, "annotator": "{who}"}}]


@pytest.mark.parametrize(
    ("bad", "forms", "words"),
    [
        ('{"id": "q1"', None, "a.jsonl:2: not JSON"),
        ('{"id": "q1", "id": "q2"}', None, "a.jsonl:2: id: the key is there twice"),
        (json.dumps(asked(1, said=float("nan"))), None, "a.jsonl:2: NaN is not JSON"),
        ('{"n": ' + "9" * 5000 + "}", None, "a.jsonl:2: a number that is too long"),
        ("[" * 100_000, None, "a.jsonl:2: nested too deeply"),
        ({"question": "?"}, None, "a.jsonl:2: id: the record has no such field; the record has question"),
        ({"id": "q", "qestion": "?"}, None, "question: the record has no such field; did you mean 'qestion'?"),
        (asked(1, question=None), None, "question: null; give it a value, or write {question?}"),
        (asked(1, question={"a": 1}), None, "question: text is wanted, and this is {'a': 1}; name one of its fields"),
        (asked(1, question=" "), None, "prompt.messages[0].content: empty"),
        (asked(1, question="\ud800"), None, "half a letter"),
        (asked(1, question="a\0"), None, "holds a NUL"),
        (asked("x" * 300), None, "prompt.id: 'toy/qxxx"),
        (asked(1, id=""), None, "prompt.id: empty, made of '{id}'"),
        (asked(1, id="q0"), None, "'toy/q0' is the prompt of a.jsonl:1 too, with other messages"),
        (asked(1, who=""), None, "annotator: '' is no name"),
        (asked(1, who="a\nb"), None, "is no name; write 1 to 170 printable letters"),
        (asked(1, said="yess"), None, "said: 'yess' is none of the completions; did you mean 'yes'?"),
        (asked(1, said=None), None, "said: null; give it a value"),
        (asked(1, said=""), None, "said: empty; write a value, or `blanks: true`"),
        (asked(1, said=6), RATING, "said: 6 is not on the scale from 1 to 5; correct the value, or low and high"),
        (asked(1, said="four"), RATING, "said: 'four' is no number"),
        (asked(1, said=True), RATING, "said: True is no number"),
        (asked(1, said="1_0"), RATING, "said: '1_0' is no number"),
        (asked(1, said=10**400), RATING, "is no number"),
        (asked(1, said=[3, None]), RATING, "said.1: empty"),
        (asked(1, said={"a": [3]}), RATING, "said.a: [3] is no number"),
        (asked(1, said=2), NUMBER, "said: there is no completion 2; the record has 2, counted from 0"),
        (asked(1, said=0.5), NUMBER, "said: 0.5 is no whole number"),
        (asked(1, said="no"), TABLE, "said: 'no' is no choice; the mapping's choices are yes"),
        (asked(1), [{"rating": {"field": "said.*.g", "annotator": "me"}}], "said: a list or an object is wanted, for"),
        (asked(1), [{"ranking": {"field": "said", "annotator": "me"}}], "said: a list is wanted, best first"),
        (
            asked(1, said=[1, 2, 3]),
            [{"ranking": {"field": "said", "annotator": "me", "by": "rank"}}],
            "said: 3 ranks of 2 completions",
        ),
        (asked(1, said=["no", "no"]), [{"ranking": {"field": "said", "annotator": "me"}}], "stands in it twice"),
        (asked(1, said="no"), [{"edit": {"field": "said", "annotator": "me", "completion": 1}}], "changes nothing"),
        (asked(1, n=-1), [{"counts": {"grades": {"n": 2}, "annotator": "crowd"}}], "n: -1 is no number of votes"),
        (asked(1, s=-2), [{"choice": {"field": "said", "annotator": "me", "seconds": "{s}"}}], "seconds: -2"),
    ],
)
def test_a_bad_record_is_refused_in_words_or_left_out_and_listed(tmp_path, bad, forms, words):
    good = {"n": 1, "s": 1, "r": [1, 2]}
    first = {
        "rating": 3,
        "ranking": ["yes", "no"],
        "edit": "better",
        "choice": "yes",
        "comparison": "yes",
        "counts": "yes",
        "by": 0,
    }
    kind = next(iter(forms[0])) if forms else "choice"
    value = first["by"] if forms is NUMBER else first[kind]
    if "for" in words and "*" in str(forms):
        value = [{"g": 3}]
    if forms and forms[0].get("ranking", {}).get("by") == "rank":
        value = [1, 2]
    line = bad if isinstance(bad, str) else json.dumps(bad)
    files = {"a.jsonl": json.dumps(asked(0, said=value, **good)) + "\n" + line + "\n"}
    changed = {"answers": forms} if forms else {}
    with pytest.raises(DataError) as refused:
        bring(tmp_path, files, **changed)
    assert words in str(refused.value)
    assert "a.jsonl:2" in str(refused.value)
    assert not (tmp_path / "out" / "feedback.db").exists()
    done = bring(tmp_path, files, skip_bad=True, **changed)
    assert (done.records, done.prompts, len(done.skipped)) == (2, 1, 1)
    assert words in done.skipped[0]


def test_facts_and_json_files_with_nan(tmp_path):
    files = {"a.npz": {"id": np.array(["q0"]), "x": np.array([np.nan])}}
    prompt = {"parts": [{"text": "?"}], "facts": {"x": "{x}"}}
    with pytest.raises(DataError, match=r"row 0: prompt\.facts\.x: nan is no number that JSON can write"):
        bring(tmp_path, files, records={"files": "a.npz"}, prompt=prompt)
    with pytest.raises(DataError, match=r"b\.json, record 2: NaN or Infinity in it"):
        bring(tmp_path, {"b.json": '[{"id": "q", "question": "?", "said": "no", "who": "a"}, {"x": NaN}]'},
              records={"files": "b.json"})  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "id,question\nq0,a,b\n", "a.csv:2: more or fewer cells than the 2 columns"),
        ("a.csv", "id,id\n1,2\n", "the first line must name the columns, each once"),
        ("a.csv", "", "the first line must name the columns"),
        ("a.csv", 'id,question\n"q0,a\n', "no CSV"),
        ("a.csv", "caf\xe9".encode("latin-1"), "byte 4 is not UTF-8; save the file as UTF-8"),
        pytest.param(
            "a.csv",
            "id,question\nq0," + "x" * ((1 << 27) + 1),
            "field larger than field limit",
            id="huge cell",
            marks=pytest.mark.slow,
        ),
        ("a.json", "{}", "there are no records"),
        ("a.json", "3", "3 where a list or an object of records should be"),
        ("a.json", '{"a": 1}\n{"a": 2}', "write records.format: jsonl"),
        ("a.json", '[{"a": 1, "a": 2}]', "the key is there twice"),
        ("a.csv.gz", gzip.compress(b"id\n" * 50, mtime=0)[:-9], "is broken"),
        ("a.npz", b"PK no archive", "no npz that can be read"),
        ("a.npz", {"x": np.zeros(2), "y": np.zeros(3)}, "different lengths (x 2, y 3)"),
        ("a.npz", {"x": np.array([{}], dtype=object)}, "no npz that can be read"),
        ("a.txt", "", "there are no records"),
        ("a.what", "x", "what is it? Write records.format"),
        ("a.jsonl", "", "there are no records"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_also_with_skip_bad(tmp_path, name, content, words):
    with pytest.raises(DataError) as refused:
        bring(tmp_path, {name: content}, True, records={"files": name})
    assert words in str(refused.value)
    assert name in str(refused.value) or "no records" in words


def test_archives_and_ranges_that_are_none(tmp_path):
    ranges = {"data": np.zeros(4, dtype=np.uint8), "offsets": np.array([0, 9])}
    files = {"a.jsonl": [asked(0)], "b.zip": b"no zip", "m.npz": ranges}
    for medium, words in [
        ({"file": "x", "zip": "b.zip"}, "is no zip archive"),
        ({"file": "x", "zip": "c.zip"}, "holds no file 'c.zip'"),
        ({"npz": "m.npz"}, "row 0 would be bytes 0 to 9 of 4"),
        ({"npz": "m.npz", "row": "7"}, "has no row 7; it has 1"),
        ({"npz": "m.npz", "row": "{id}"}, "row: 'q0' is no number"),
        ({"npz": "m.npz", "row": "0.5"}, "the row is a whole number"),
        ({"npz": "m.npz", "data": "bytes"}, "has no array 'bytes'; it has data, offsets"),
        ({"npz": "m.npz", "data": "offsets"}, "must be bytes"),
    ]:
        with pytest.raises(DataError) as refused:
            bring(tmp_path, files, prompt={"parts": [{"image": medium}]})
        assert words in str(refused.value)


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        ({"extract": {"id": r"(?P<question>\d)"}}, "question: the record has a field of this name itself"),
        ({"extract": {"id": r"^x(?P<n>\d)"}}, "'q0' does not fit records.extract.id"),
        ({"extract": {"id": r"(?P<n>"}}, "is no regular expression"),
        ({"extract": {"id": r"\d"}}, "names no group"),
        ({"joins": [{"file": "t.csv", "name": "t", "key": "{k}", "match": "{id}"}]}, "no record with the key 'q0'"),
        ({"joins": [{"file": "u.csv", "name": "t", "key": "{k}", "match": "{id}"}]}, "the key 'q0' of the join 't' is"),
        ({"joins": [{"file": "t.csv", "name": "who", "key": "{k}", "match": "{id}"}]}, "give the join another name"),
        ({"joins": [{"file": "t.csv", "name": "t", "key": "{kk}", "match": "{id}"}]}, "t.csv:2: kk: the record has no"),
        ({"files": "none.jsonl"}, "holds no file 'none.jsonl'"),
        ({"files": "**.jsonl"}, "is no pattern"),
        ({"files": "*.jsonl", "without": "a.*"}, "holds no file '*.jsonl' but 'a.*'"),
    ],
)
def test_readings_that_do_not_fit(tmp_path, reading, words):
    files = {"a.jsonl": [asked(0)], "t.csv": "k\nq7\n", "u.csv": "k\nq0\nq0\n"}
    with pytest.raises(DataError) as refused:
        bring(tmp_path, files, records={"files": "a.jsonl", **reading})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"promt": 1}, "promt: there is no such key; did you mean 'prompt'?"),
        ({"prompt": {"parts": [{"picture": "x"}]}}, "prompt.parts.0.picture: there is no such key"),
        ({"prompt": {"parts": [{"text": "x", "image": "y"}]}}, "prompt.parts.0: give one of text, image, audio"),
        ({"prompt": {"parts": [{"image": {"zip": "x"}}]}}, "prompt.parts.0.image: give one of file, npz"),
        ({"completions": {}}, "completions: give either texts or a field"),
        ({"completions": {"texts": [True, False]}}, "completions.texts.0"),
        ({"answers": [{}]}, "answers.0: give one of rating, comparison, choice, ranking, edit, counts"),
        ({"answers": [{"rating": {"annotator": "me"}}]}, "answers.0: name the field"),
        ({"answers": [{"rating": {"annotator": "me", "field": "x", "low": 3, "high": 3}}]}, "low and high must differ"),
        ({"answers": [{"comparison": {"annotator": "me"}}]}, "give either choices"),
        ({"answers": [{"comparison": {"annotator": "me", "choice": "a", "a": 1}}]}, "a and b are both completion 1"),
        ({"answers": [{"comparison": {"annotator": "me", "choice": "c"}}]}, "answers.0.comparison.choice"),
        ({"answers": [{"counts": {"annotator": "me"}}]}, "give either grades or choices"),
        ({"answers": [{"counts": {"annotator": "me", "grades": {"x": 0}}}]}, "grades are 1, 2 and so on"),
        ({"answers": [{"choice": {"field": "x"}}]}, "answers.0.choice.annotator: it is missing"),
        ({"name": "a\nb"}, "name: "),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(tmp_path, changed, words):
    with pytest.raises(MappingError) as refused:
        read_mapping(mapping(tmp_path, **changed))
    assert words in str(refused.value)
    assert "toy.yaml" in str(refused.value)


def test_mappings_that_are_not_there(tmp_path):
    with pytest.raises(MappingError, match="did you mean 'speechocean'"):
        find_mapping("speechocaen")
    with pytest.raises(MappingError, match=r"a mapping of your own is a file: NAME\.yaml"):
        find_mapping("xyz")
    with pytest.raises(MappingError, match="cannot be read"):
        find_mapping(str(tmp_path / "none.yaml"))
    for content, words in ((b"- 1", "a mapping holds keys"), (b"a: [", "is no YAML"), (b"\xff", "cannot be read")):
        (tmp_path / "m.yml").write_bytes(content)
        with pytest.raises(MappingError, match=words):
            find_mapping(str(tmp_path / "m.yml"))


def test_a_brace_alone_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"'\{' stands alone in the mapping's '\{question'; write it twice"):
        bring(tmp_path, {"a.jsonl": [asked(0)]}, prompt={"parts": [{"text": "{question"}]})


def test_the_users_own_files_are_never_written_over(tmp_path):
    data = write(tmp_path / "data", {"prompts.jsonl": [asked(0)]})
    read = read_mapping(mapping(tmp_path))
    with pytest.raises(DataError, match="is the data's own folder"):
        import_data(read, data, data)
    with pytest.raises(DataError, match="harken did not write it"):
        import_data(read, write(tmp_path / "other", {"a.jsonl": [asked(0)]}), data)
    assert json.loads((data / "prompts.jsonl").read_text()) == asked(0)
    assert sorted(os.listdir(data)) == ["prompts.jsonl"]
    with pytest.raises(DataError, match="there is no such folder"):
        import_data(read, tmp_path / "none", tmp_path / "out")


def test_a_field_that_no_record_has_is_named_where_blanks_are_allowed(tmp_path):
    form = {"choice": {"field": "sayd", "annotator": "me", "blanks": True}}
    done = bring(tmp_path, {"a.jsonl": [asked(0)]}, answers=[form])
    assert done.notices == (
        "1 records say nothing: their prompts came in without answers",
        "answers.0: no record says anything in sayd; is that the field's name?",
    )


def test_stopped_while_reading_nothing_is_in_the_store_and_the_same_again_goes_on(tmp_path):
    data = write(tmp_path / "data", {"a.jsonl": [asked(i) for i in range(5)]})
    read = read_mapping(mapping(tmp_path))
    with pytest.raises(Stopped):
        import_data(read, data, tmp_path / "out", told=lambda step, done: done == 3)
    assert not (tmp_path / "out" / "feedback.db").exists()
    assert import_data(read, data, tmp_path / "out").new == (5, 10, 5)


def test_a_changed_data_set_needs_another_folder(tmp_path):
    bring(tmp_path, {"a.jsonl": [asked(0)]})
    with pytest.raises(ValueError, match="ids are for ever"):
        bring(tmp_path, {"a.jsonl": [asked(0, question="Changed?")]})
    assert len(answers(tmp_path)) == 1
    assert said(tmp_path) == [("ada", (("yes",),), ("no",))]


def test_prompts_jsonl_is_written_again_where_it_is_missing(tmp_path):
    bring(tmp_path, {"a.jsonl": [asked(0)]})
    written = tmp_path / "out" / "prompts.jsonl"
    before = written.read_text()
    written.unlink()
    assert bring(tmp_path, {}).new == (0, 0, 0)
    assert written.read_text() == before
    with FeedbackStore(tmp_path / "out" / "feedback.db") as store:
        assert len(store.prompts()) == 1
    assert [p.name for p in Path(tmp_path / "out").iterdir() if p.name.startswith(".")] == []
