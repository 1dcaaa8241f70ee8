"""The teach page's road: a run begun, asked about, trained on what people said, stopped, and compared blind."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "journeys"))

from tiny_run import tiny_recipe

from harken.feedback.desk.ordering import Order, places
from harken.feedback.store import FeedbackStore
from harken.pipeline.recipe import resolved
from harken.studio import teaching as teaching_module
from harken.studio.board import Board, View
from harken.studio.teaching import Job, TeachError, Teaching

LONG = ("align.rollout.iterations=400",)


def recipe(studio, name: str, *overrides: str) -> str:
    """A recipe in the studio's folder; returns how the page names it."""
    folder = studio.config.folder / "recipes"
    folder.mkdir(exist_ok=True)
    plain = json.loads(json.dumps(resolved(tiny_recipe(*overrides)), default=str))
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(plain))
    return name


def until(client, name: str, *states: str, seconds: float = 240, stage: str = "") -> dict:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = client.get(f"/api/v1/teach/{name}").json()
        if said["state"] in states and (not stage or any(one["name"].endswith(stage) for one in said["stages"])):
            return said
        assert said["state"] == "going", said
        time.sleep(0.2)
    raise AssertionError(f"not {states} after {seconds} s: {said}")


def post(client, path: str, status: int = 200, **body):
    told = client.post(f"/api/v1/teach{path}", json=body or None)
    assert told.status_code == status, told.text
    return told.json()


def answer_all(client, slug: str) -> int:
    """Somebody who likes the longer answer better."""
    said = 0
    while items := client.post(f"/api/v1/projects/{slug}/next", json={"tab": "t", "want": 20}).json()["items"]:
        longest = [max(item["candidates"], key=lambda one: len(one["text"]))["id"] for item in items]
        given = [{"key": item["key"], "said": {"choice": name}} for item, name in zip(items, longest, strict=True)]
        told = client.post("/api/v1/answers", json={"answers": given}).json()["results"]
        assert {one["status"] for one in told} == {"kept"}
        said += len(given)
    return said


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)], indirect=True)
def test_what_people_say_in_the_studio_teaches_a_model_and_they_compare_it_blind(people, tmp_path):
    studio, olga, ann = people.studio, people.client("olga", "owner"), people.client("ann")
    size = recipe(studio, "tiny")
    assert size in olga.get("/api/v1/teach").json()["sizes"]
    post(olga, "", 201, name="first", size=size)
    assert "one at a time" in post(olga, "", 409, name="second", size=size)["error"]
    told = until(olga, "first", "waiting")
    assert [one["name"] for one in told["stages"]] == ["sft", "rounds/1/completions", "rounds/1/feedback"]
    assert told["stages"][0]["seconds"] > 0
    assert "nobody has answered" in post(olga, "/first/train", 409)["error"]
    assert "train it first" in post(olga, "/first/comparison", 409)["error"]

    asked = post(olga, "/first/questions", 201)
    assert post(olga, "/first/questions", 201)["items"] == asked["items"] > 0
    said = answer_all(ann, asked["slug"])
    assert said == asked["items"]
    # Answers about other completions are no business of the run's.
    made = olga.post("/api/v1/projects", json={"settings": {"title": "x", "policies": ["policy-0", "policy-1"]}}).json()
    answer_all(ann, made["slug"])
    assert olga.get("/api/v1/teach/first").json()["answers"] == said

    post(olga, "/first/train")
    told = until(olga, "first", "trained")
    assert all(one["state"] in ("done", "current") for one in told["stages"])
    assert {"prompts", "reward_before", "reward_after"} <= set(told["evaluation"])
    with FeedbackStore(tmp_path / "first" / "feedback.db") as store:
        learnt = store.answers()
    assert {answer.annotator for answer in learnt} == {"ann"}
    wanted = {a.key: a.feedback for a in studio.store.answers() if a.key in {b.key for b in learnt}}
    assert {a.key: a.feedback for a in learnt} == wanted
    assert len(learnt) == said

    assert not told["compared"]
    blind = post(olga, "/first/comparison", 201)
    assert olga.get("/api/v1/teach/first").json()["compared"]
    assert post(olga, "/first/comparison", 201)["slug"] == blind["slug"] == "first-blind-1"
    assert answer_all(ann, blind["slug"]) == blind["items"] > 0
    board = Board(studio)
    seen = board.look(View(studio.projects[blind["slug"]].id), board.desks())
    assert {one["policy"] for one in seen["places"]["overall"]} == {"first/before", "first/after"}
    for item in studio.desk.items.values():
        if item.project == studio.projects[blind["slug"]].id:
            assert {c.policy for c in studio.completions(item.completions).values()} == {"first/before", "first/after"}
    page = olga.get("/dashboard").text
    assert "first/before" in page
    assert "first/after" in page

    # More answers, and the same run again: only what depends on them is done anew.
    edit = olga.post(
        "/api/v1/projects", json={"settings": {"title": "e", "forms": ["edit"], "policies": [_policy(tmp_path)]}}
    )
    slug = edit.json()["slug"]
    (item, *_) = ann.post(f"/api/v1/projects/{slug}/next", json={"tab": "t", "want": 1}).json()["items"]
    better = {"candidate": item["candidates"][0]["id"], "revision": "It is something else."}
    ann.post("/api/v1/answers", json={"answers": [{"key": item["key"], "said": better}]})
    post(olga, "/first/train")
    told = until(olga, "first", "trained")
    states = {one["name"]: one["state"] for one in told["stages"]}
    assert (states["sft"], states["rounds/1/completions"], states["rounds/1/reward"]) == ("current", "current", "done")
    assert post(olga, "/first/comparison", 201)["slug"] in ("first-blind-1", "first-blind-2")


def _policy(runs: Path) -> str:
    return rows(runs / "first/rounds/1/completions.jsonl")[0]["policy"]


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_run_is_stopped_found_again_by_another_studio_and_goes_on(people, tmp_path):
    studio, olga, ann = people.studio, people.client("olga", "owner"), people.client("ann")
    post(olga, "", 201, name="long", size=recipe(studio, "long", *LONG))
    until(olga, "long", "waiting")
    answer_all(ann, post(olga, "/long/questions", 201)["slug"])
    post(olga, "/long/train")
    until(olga, "long", "going", stage="aligned")
    # Another studio knows nothing of the child but what is on the disk.
    other = Teaching(studio.config.folder, studio.config.runs)
    assert other.going() == "long"
    with pytest.raises(TeachError, match="one at a time"):
        other.go_on("long", "train")
    other.stop("long")
    told = until(olga, "long", "stopped", "going", seconds=1)
    told = told if told["state"] == "stopped" else until(olga, "long", "stopped")
    assert "go on with --resume" in " ".join(told["words"])
    assert "not under way" in post(olga, "/long/stop", 409)["error"]
    post(olga, "/long/continue")
    until(olga, "long", "going", stage="aligned")
    post(olga, "/long/stop")
    until(olga, "long", "stopped")


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_run_chooses_what_is_asked_and_what_its_reward_model_is_unsure_of_comes_next(people, tmp_path):
    studio, olga, ann = people.studio, people.client("olga", "owner"), people.client("ann")
    few = ("completions.each=3", "feedback.select.policy=bald", "align.rollout.iterations=1")
    post(olga, "", 201, name="first", size=recipe(studio, "tiny", *few))
    until(olga, "first", "waiting")
    slug, here = post(olga, "/first/questions", 201)["slug"], tmp_path / "first/rounds/1"
    project = studio.projects[slug].id
    chosen = [(pair["a"], pair["b"]) for pair in rows(here / "selection.jsonl")]
    assert [item.completions for item in studio.desk.wanting(project)] == chosen
    assert "train it first" in post(olga, "/first/more", 409)["error"]
    assert answer_all(ann, slug) == len(chosen)
    post(olga, "/first/train")
    assert until(olga, "first", "trained")["scored"]
    more = post(olga, "/first/more")
    assert more["items"] == len(chosen) + more["added"] > len(chosen)
    known = {row["completion"]: row["scores"] for row in rows(here / "scores.jsonl")}
    assert {len(scores) for scores in known.values()} == {2}
    waiting = studio.desk.wanting(project)
    assert len(waiting) == more["added"]
    assert {item.id: item.place for item in waiting} == places(waiting, known, Order())


def test_only_names_and_sizes_that_there_are(people, tmp_path):
    olga = people.client("olga", "owner")
    (tmp_path / "there").mkdir()
    for name, size, words in (
        ("../x", "quick", "no name of a run"),
        ("A", "quick", "no name of a run"),
        ("x", "../../recipes/demo", "no size"),
        ("there", "quick", "take another name"),
    ):
        assert words in post(olga, "", 409, name=name, size=size)["error"]
    for path in ("/x", "/..%2fstudio", "/there"):
        assert olga.get(f"/api/v1/teach{path}").status_code == 404
    assert olga.get("/api/v1/teach").json() == {"runs": [], "going": None, "sizes": ["whole", "quick"]}


def test_another_process_of_the_same_id_is_not_the_run(people, tmp_path):
    teaching = Teaching(tmp_path / "studio", tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        born = psutil.Process(child.pid).create_time()
        (tmp_path / "studio" / "teach").mkdir(parents=True, exist_ok=True)
        teaching._keep("x", Job("quick", "begin", child.pid, born))
        assert teaching.going() == "x"
        teaching._keep("x", Job("quick", "begin", child.pid, born - 60))
        assert teaching.going() is None
        child.communicate(b"\n")
    teaching._keep("x", Job("quick", "begin", child.pid, born))
    assert teaching.going() is None
    assert teaching.progress("x")["state"] == "failed"


@pytest.mark.slow
def test_the_end_of_a_run_is_told_once_also_after_the_studio_was_started_again(people, tmp_path, monkeypatch):
    monkeypatch.setattr(teaching_module, "EVERY", 0.02)
    told: list[tuple[str, dict]] = []
    people.studio.listeners.append(lambda event, data: told.append((event, data)))
    folder = tmp_path / "studio"
    (folder / "teach").mkdir(exist_ok=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        born = psutil.Process(child.pid).create_time()
        before = Teaching(folder, tmp_path)
        before._keep("long-ago", Job("quick", "begin", 1, 0.0))
        before._keep("mine", Job("quick", "train", child.pid, born, stopped=True, told=False))
        with people.client("olga", "owner"):
            time.sleep(0.3)
            assert told == []
            child.communicate(b"\n")
            end = time.monotonic() + 10
            while not told and time.monotonic() < end:
                time.sleep(0.02)
            time.sleep(0.2)
    assert told == [("run.ended", {"name": "mine", "doing": "train", "state": "stopped"})]
    again: list[dict] = []
    Teaching(folder, tmp_path, again.append).tell_ended()
    assert again == []


def test_a_run_that_ended_is_told_of_before_it_goes_on(tmp_path, monkeypatch):
    told: list[dict] = []
    teaching = Teaching(tmp_path / "studio", tmp_path, told.append)
    monkeypatch.setattr(teaching, "_command", lambda *_: [sys.executable, "-c", ""])
    for _ in range(2):
        teaching._start("mine", Job("quick", "begin"))
        teaching._children["mine"].wait()
    assert told == [{"name": "mine", "doing": "begin", "state": "failed"}]
    teaching.tell_ended()
    teaching.tell_ended()
    assert len(told) == 2
