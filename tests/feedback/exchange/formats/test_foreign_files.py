"""Files as other programs write them, put down by hand; and broken ones, whose errors say what, where and how."""

import base64
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stores import PICTURES, SOUNDS, held, sha256_of

from harken.feedback.exchange.door import Imported, export_file, find_place, import_file
from harken.feedback.exchange.tables import DataError
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Audio, Comparison, Completion, Edit, Image, Prompt, Ranking, Rating, Text

URI = "data:image/png;base64," + base64.b64encode(PICTURES[0]).decode()

ARENA = {
    "question_id": "c0fc42c6",
    "model_a": "vicuna-13b",
    "model_b": "koala-13b",
    "winner": "tie (bothbad)",
    "judge": "arena_user_973",
    "conversation_a": [{"content": "Count to 3", "role": "user"}, {"content": "1, 2, 3", "role": "assistant"}],
    "conversation_b": [{"content": "Count to 3", "role": "user"}, {"content": "3, 2, 1", "role": "assistant"}],
    "turn": 1,
    "anony": True,
    "language": "English",
    "tstamp": 1682351591.1322,
    "openai_moderation": {"categories": {}},
}
LABELLED = {
    "id": 7,
    "data": {"prompt": "Which is it?", "image": URI, "text1": "A seven.", "text2": "An eight."},
    "annotations": [
        {
            "id": 1001,
            "completed_by": {"id": 10, "email": "ada@example.org"},
            "was_cancelled": False,
            "lead_time": 4.288,
            "result": [
                {
                    "id": "Dx_aB91ISN",
                    "from_name": "pw",
                    "to_name": "text1,text2",
                    "type": "pairwise",
                    "value": {"selected": "right"},
                },
                {"from_name": "r", "to_name": "text1", "type": "rating", "value": {"rating": 2}},
                {"from_name": "t", "to_name": "text1", "type": "textarea", "value": {"text": ["An 8."]}},
                {"from_name": "c", "to_name": "prompt", "type": "textarea", "value": {"text": ["a comment"]}},
                {"from_name": "s", "to_name": "text1", "type": "labels", "value": {"labels": ["x"]}},
            ],
        },
        {"id": 1002, "completed_by": 11, "was_cancelled": True, "result": []},
    ],
}
RANKED = {
    "data": {"text": "Which?", "items": [{"id": "x", "title": "", "body": "one"}, {"id": "y", "body": "two"}]},
    "annotations": [
        {
            "completed_by": 3,
            "result": [
                {"from_name": "rank", "to_name": "items", "type": "ranker", "value": {"ranker": {"rank": ["y", "x"]}}}
            ],
        }
    ],
}
ARGILLA = {
    "id": "5d3c",
    "fields": {"instruction": "Which?", "reply-1": "one", "reply-2": "two"},
    "metadata": {"source": "web"},
    "suggestions": {"preference": {"value": "reply-1", "score": 0.9, "agent": "model"}},
    "responses": {
        "preference": [{"value": "reply-2", "user_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"}],
        "order": [
            {"value": ["reply-2", "reply-1"], "user_id": "u2"},
            {"value": [{"value": "reply-1", "rank": 1}, {"value": "reply-2", "rank": 1}], "user_id": "u3"},
        ],
        "why": [{"value": "a comment", "user_id": "u2"}],
    },
    "vectors": {},
    "_server_id": None,
}


def written(folder: Path, name: str, records: object) -> Path:
    file = folder / name
    file.write_text(json.dumps(records), encoding="utf-8")
    return file


def brought(folder: Path, name: str, file: Path, levels: int = 5) -> tuple[Imported, list[Answer], FeedbackStore]:
    """What came in; and coming in again it adds nothing."""
    place = find_place(str(folder / "store"))
    done = import_file(name, file, place, levels)
    assert import_file(name, file, place, levels).new == (0, 0, 0)
    return done, list(held(place).values()), FeedbackStore(place.store)


def texts(store: FeedbackStore) -> dict[str, Completion]:
    return {one.text: one for one in store.completions()}


def test_battles(tmp_path: Path):
    _, (answer,), store = brought(tmp_path, "arena", written(tmp_path, "battles.json", [ARENA]))
    a, b = texts(store)["1, 2, 3"], texts(store)["3, 2, 1"]
    assert answer.feedback == Comparison(a.prompt_id, a.id, b.id, "both_bad")
    assert (answer.annotator, answer.annotator_kind) == ("arena/arena_user_973", "human")
    assert (a.policy, b.policy) == ("vicuna-13b", "koala-13b")
    assert store.prompts()[0].messages[0].parts == (Text("Count to 3"),)


def test_a_model_that_judges_battles_is_a_model(tmp_path: Path):
    record = {**ARENA, "judge": ["gpt-4", "pair-v2"]}
    _, (answer,), _ = brought(tmp_path, "arena", written(tmp_path, "battles.json", [record]))
    assert (answer.annotator, answer.annotator_kind) == ("arena/gpt-4", "model")


def test_tasks_of_label_studio(tmp_path: Path):
    done, answers, store = brought(tmp_path, "label_studio", written(tmp_path, "export.json", [LABELLED]))
    one, two = texts(store)["A seven."], texts(store)["An eight."]
    said = [answer.feedback for answer in answers]
    assert said == [
        Comparison(one.prompt_id, one.id, two.id, "b"),
        Rating(one.prompt_id, one.id, 2),
        Edit(one.prompt_id, one.id, "An 8."),
    ]
    assert {(a.annotator, a.seconds) for a in answers} == {("label_studio/ada@example.org", 4.288)}
    assert [why.split(": ")[-1] for why in done.skipped] == ["a comment", "a result of type 'labels'", "cancelled"]
    assert store.prompts()[0].messages[0].parts == (Image(sha256_of(PICTURES[0])), Text("Which is it?"))


def test_rankings_of_label_studio(tmp_path: Path):
    _, (answer,), store = brought(tmp_path, "label_studio", written(tmp_path, "export.json", [RANKED]))
    one, two = texts(store)["one"], texts(store)["two"]
    assert answer.feedback == Ranking(one.prompt_id, ((two.id,), (one.id,)))
    assert answer.annotator == "label_studio/3"


def test_records_of_argilla(tmp_path: Path):
    done, answers, store = brought(tmp_path, "argilla", written(tmp_path, "records.json", [ARGILLA]))
    one, two = texts(store)["one"], texts(store)["two"]
    assert [answer.feedback for answer in answers] == [
        Comparison(one.prompt_id, one.id, two.id, "b"),
        Ranking(one.prompt_id, ((two.id,), (one.id,))),
        Ranking(one.prompt_id, ((one.id, two.id),)),
    ]
    assert answers[0].annotator == "argilla/1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    assert len(done.skipped) == 2


def test_a_rating_and_an_edit_of_argilla(tmp_path: Path):
    record = {
        "fields": {"prompt": "Which?", "response": "one"},
        "responses": {"quality": [{"value": 7, "user_id": "u"}], "better": [{"value": "two", "user_id": "u"}]},
    }
    file = written(tmp_path, "records.json", [record])
    with pytest.raises(DataError, match=r"records.json, record 1, response 1 to quality: 7 is not on .* --levels"):
        import_file("argilla", file, find_place(str(tmp_path / "store")))
    _, answers, store = brought(tmp_path, "argilla", file, levels=10)
    one = texts(store)["one"]
    assert answers[0].feedback == Rating(one.prompt_id, one.id, 7, 10)
    assert answers[1].feedback == Edit(one.prompt_id, one.id, "two")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Which?", "chosen": "one", "rejected": "two"},
        {
            "prompt": [{"role": "user", "content": "Which?"}],
            "chosen": [{"role": "assistant", "content": "one"}],
            "rejected": [{"role": "assistant", "content": "two"}],
        },
        {
            "chosen": [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "one"}],
            "rejected": [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "two"}],
        },
    ],
    ids=["texts", "turns", "implicit prompt"],
)
def test_preferences_in_the_forms_that_trl_knows(row: dict, tmp_path: Path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps(row) + "\n")
    _, (answer,), store = brought(tmp_path, "trl", file)
    one, two = texts(store)["one"], texts(store)["two"]
    assert answer.feedback == Comparison(one.prompt_id, one.id, two.id, "a")
    assert store.prompts()[0].messages[0].parts == (Text("Which?"),)


@pytest.mark.parametrize("parts", [True, False])
def test_preferences_with_media(parts: bool, tmp_path: Path):
    content = [{"type": "text", "text": "Look"}, {"type": "image"}, {"type": "audio"}] if parts else "Look"
    row = {
        "prompt": [{"role": "user", "content": content}],
        "chosen": [{"role": "assistant", "content": "one"}],
        "rejected": [{"role": "assistant", "content": "two"}],
        "images": [{"bytes": PICTURES[1], "path": None}],
        "audios": [{"bytes": SOUNDS[0], "path": None}],
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "pairs.parquet")
    _, _, store = brought(tmp_path, "trl", tmp_path / "pairs.parquet")
    picture, sound = Image(sha256_of(PICTURES[1])), Audio(sha256_of(SOUNDS[0]))
    wanted = (Text("Look"), picture, sound) if parts else (picture, sound, Text("Look"))
    assert store.prompts()[0].messages[0].parts == wanted


def test_tables(tmp_path: Path):
    heads = {
        "a.csv": "prompt,a,b,choice,annotator,seconds\nWhich?,one,two,tie,ada,1.5\n",
        "b.csv": "prompt,chosen,rejected,criterion\nWhich?,one,two,wit\n",
        "c.csv": "prompt,completion,score,levels\nWhich?,one,6,7\n",
        "d.csv": "prompt,completion,revision\nWhich?,one,'=1+1\n",
    }
    said = {}
    for name, table in heads.items():
        (tmp_path / name).write_text(table)
        _, (answer,), store = brought(tmp_path / name[0], "table", tmp_path / name)
        said[name] = answer
    one, two = (texts(store).get(text) for text in ("one", "two"))
    assert one is not None and two is None
    assert said["a.csv"].feedback.choice == "tie" and said["a.csv"].seconds == 1.5
    assert said["a.csv"].annotator == "table/ada"
    assert said["b.csv"].feedback.criterion == "wit" and said["b.csv"].feedback.choice == "a"
    assert said["c.csv"].feedback == Rating(one.prompt_id, one.id, 6, 7)
    assert said["d.csv"].feedback == Edit(one.prompt_id, one.id, "=1+1")


BROKEN = {
    "no JSON": ("arena", "x.json", "[{", "x.json is not JSON"),
    "no object": ("arena", "x.json", "[1]", "record 1: the record is no object"),
    "empty": ("arena", "x.json", "[]", "holds no records"),
    "no winner": ("arena", "x.json", [{**ARENA, "winner": None}], "record 1: no 'winner'"),
    "other winner": ("arena", "x.json", [ARENA, {**ARENA, "winner": "c"}], "record 2: the winner is 'c'; it is one of"),
    "other prompts": (
        "arena",
        "x.json",
        [{**ARENA, "conversation_b": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}],
        "the two conversations differ",
    ),
    "no turn": ("arena", "x.json", [{**ARENA, "conversation_a": [3]}], r"conversation_a\[0\].role is None"),
    "JSON_MIN": ("label_studio", "x.json", [{"prompt": "x"}], "record 1: no 'data'; export the project as JSON"),
    "no prompt": ("label_studio", "x.json", [{"data": {}, "annotations": []}], "no prompt in the data"),
    "an address": (
        "label_studio",
        "x.json",
        [{"data": {"prompt": "x", "image": "https://example.org/a.png"}, "annotations": []}],
        "image: .*fetches nothing",
    ),
    "a path that leaves": (
        "label_studio",
        "x.json",
        [{"data": {"prompt": "x", "image": "../../etc/passwd"}, "annotations": []}],
        "record 1: image: ",
    ),
    "no tag": (
        "label_studio",
        "x.json",
        [
            {
                "data": {"prompt": "x"},
                "annotations": [
                    {"result": [{"type": "pairwise", "to_name": "p,q", "value": {"selected": "left"}}]},
                ],
            }
        ],
        "annotation 1: it speaks of 'p', which is no completion",
    ),
    "no fields": ("argilla", "x.json", [{"responses": {}}], "no 'fields'"),
    "no value": ("argilla", "x.json", [{**ARGILLA, "responses": {"q": [{}]}}], "response 1 to q: .* has no value"),
    "no rejected": ("trl", "x.jsonl", '{"prompt": "x", "chosen": "y"}', "x.jsonl:1: no 'rejected'"),
    "a placeholder more": (
        "trl",
        "x.jsonl",
        json.dumps({"prompt": [{"role": "user", "content": [{"type": "image"}]}], "chosen": "y", "rejected": "z"}),
        r"prompt\[0\].content\[0\] is a placeholder and there is no image left",
    ),
    "no parquet": ("trl", "x.parquet", "PAR1", "no parquet that can be read"),
    "no heads": ("table", "x.csv", "a,b\n1,2\n", "x.csv:2: no 'prompt'"),
    "other heads": ("table", "x.csv", "prompt,b\n1,2\n", "harken reads prompt with a, b, choice"),
    "no number": ("table", "x.csv", "prompt,completion,score\nx,y,good\n", "score is 'good', which is no whole number"),
    "own field broken": ("arena", "x.json", [{**ARENA, "harken": "{"}], "record 1: the field 'harken' is not as"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_say_what_where_and_how(case: str, tmp_path: Path):
    name, file_name, contents, message = BROKEN[case]
    file = tmp_path / file_name
    file.write_text(contents if isinstance(contents, str) else json.dumps(contents))
    place = find_place(str(tmp_path / "store"))
    with pytest.raises(DataError, match=message) as error:
        import_file(name, file, place)
    assert file_name in str(error.value)
    assert not Path(place.store).exists(), "nothing was stored"


def test_what_people_add_in_a_tool_is_read_with_our_ids(tmp_path: Path):
    """Tasks go out, somebody answers them there, and the export comes back into the store that they came from."""
    place = find_place(str(tmp_path))
    with FeedbackStore(place.store) as store:
        prompt = Prompt("p", ())
        store.add_prompts([prompt])
        store.add_completions([Completion(name, "p", f"It is {name}.", "model") for name in ("x", "y")])
        store.add(Answer("k1", "ada", "human", Comparison("p", "x", "y", "a", "wit")))
        store.add(Answer("k2", "ada", "human", Ranking("p", (("x",), ("y",)))))
    for name in ("label_studio", "argilla"):
        file, _ = export_file(name, place, tmp_path / f"{name}.json")
        records = json.loads(file.read_text())
        for record in records:
            if name == "argilla":
                ((question, responses),) = record["responses"].items()
                value = "tie" if question == "comparison" else ["completion_2", "completion_1"]
                responses.append({"value": value, "user_id": "bob"})
            else:
                first = json.loads(json.dumps(record["annotations"][0]["result"][0]))
                del first["meta"]
                if first["type"] == "pairwise":
                    first |= {"type": "choices", "to_name": "a", "value": {"choices": ["tie"]}}
                else:
                    first["value"] = {"ranker": {"1": ["y"], "2": ["x"]}}
                record["annotations"].append({"completed_by": "bob", "result": [first], "was_cancelled": False})
        done = import_file(name, written(tmp_path, f"{name}2.json", records), place)
        assert done.new == (0, 0, 2)
        mine = [answer.feedback for answer in held(place).values() if answer.annotator == f"{name}/bob"]
        assert mine == [Comparison("p", "x", "y", "tie", "wit"), Ranking("p", (("y",), ("x",)))]


CHANGES = {
    "arena": ("winner", lambda record: record.update(winner="tie")),
    "label_studio": ("value", lambda r: r["annotations"][0]["result"][0].update(value={"selected": "right"})),
    "argilla": ("responses.comparison", lambda r: r["responses"]["comparison"][0].update(value="b")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_record_that_was_changed_on_the_way_is_refused(name: str, tmp_path: Path):
    field, change = CHANGES[name]
    place = find_place(str(tmp_path))
    with FeedbackStore(place.store) as store:
        store.add_prompts([Prompt("p", ())])
        store.add_completions([Completion(one, "p", one, "model") for one in ("x", "y")])
        store.add(Answer("k1", "ada", "human", Comparison("p", "x", "y", "a")))
    file, _ = export_file(name, place, tmp_path / "out.json")
    records = json.loads(file.read_text())
    change(records[0])
    with pytest.raises(DataError, match=rf"'{field}' was changed after harken wrote it"):
        import_file(name, written(tmp_path, "changed.json", records), place)


def test_another_answer_under_a_key_is_told_and_the_first_stays(tmp_path: Path):
    places = [find_place(str(tmp_path / name)) for name in ("one", "two")]
    for place, choice in zip(places, ("a", "b"), strict=True):
        with FeedbackStore(place.store) as store:
            store.add_prompts([Prompt("p", ())])
            store.add_completions([Completion(one, "p", one, "model") for one in ("x", "y")])
            store.add(Answer("k1", "ada", "human", Comparison("p", "x", "y", choice)))
    file, _ = export_file("arena", places[0], tmp_path / "out.json")
    assert import_file("arena", file, places[1]).differing == ("k1",)
    assert held(places[1])["k1"].feedback.choice == "b"


def test_where_a_store_lies(tmp_path: Path):
    assert find_place("runs/v1.2").store == "runs/v1.2/feedback.db"
    assert find_place("runs/v1.2").blobs == Path("runs/v1.2/blobs")
    assert find_place("runs/x.db").store == "runs/x.db" and find_place("runs/x.db").blobs == Path("runs/blobs")
    (tmp_path / "old.db").mkdir()
    assert find_place(str(tmp_path / "old.db")).store.endswith("old.db/feedback.db")
    assert find_place("postgresql://h/b", Path("media")).blobs == Path("media")


def test_an_annotation_that_was_opened_again_keeps_its_time(tmp_path: Path):
    place = find_place(str(tmp_path))
    with FeedbackStore(place.store) as store:
        store.add_prompts([Prompt("p", ())])
        store.add_completions([Completion("x", "p", "x", "model")])
        store.add(Answer("k1", "ada", "human", Rating("p", "x", 3), 2.0))
    file, _ = export_file("label_studio", place, tmp_path / "out.json")
    records = json.loads(file.read_text())
    records[0]["annotations"][0]["lead_time"] = 99.0
    done = import_file("label_studio", written(tmp_path, "changed.json", records), place)
    assert (done.new, done.differing) == ((0, 0, 0), ())
