"""The dashboard's figures against a plain count; views; runs with their curves while they train."""

import json
import os
import time
from collections import Counter

import pytest

from harken.feedback.agreement import agreement_rate, alpha
from harken.feedback.tables import tables
from harken.studio.board import RESAMPLES, Board, View, standings
from harken.studio.runs import runs
from harken.types import Answer, Comparison

RATED = {"title": "Rated", "forms": ["rating"], "criteria": [{"name": "true"}, {"name": "kind", "levels": 7}]}


def make(people, **settings) -> str:
    told = people.client("olga", "owner").post("/api/v1/projects", json={"settings": {"title": "One", **settings}})
    assert told.status_code == 201, told.text
    return told.json()["slug"]


def answer(client, slug: str, said, want: int = 10) -> list[str]:
    items = client.post(f"/api/v1/projects/{slug}/next", json={"tab": "t", "want": want}).json()["items"]
    given = [{"key": i["key"], "said": said(n, i), "seconds": 2.0} for n, i in enumerate(items)]
    told = client.post("/api/v1/answers", json={"answers": given}).json()["results"]
    assert {one["status"] for one in told} == {"kept"}
    return [item["key"] for item in items]


def look(people, *view) -> dict:
    board = Board(people.studio)
    return board.look(View(*view), board.desks())


def test_an_answer_counts_once_whatever_it_grades_and_however_often_it_changes(people):
    slug, ann = make(people, **RATED), people.client("ann")
    keys = answer(ann, slug, lambda n, i: {"scores": {"true": 3, "kind": 5}}, 5)
    for amends in (1, 2):
        again = {"key": keys[0], "said": {"scores": {"true": amends, "kind": 1}}, "amends": amends, "seconds": 0.1}
        assert ann.post("/api/v1/answers", json={"answers": [again]}).json()["results"][0]["status"] == "kept"
    seen = look(people)
    assert len(people.studio.store.answers(amended=True)) == 14
    assert seen["annotators"] == [{"name": "ann", "kind": "human", "answers": 5, "seconds": 2.0, "quick": 0}]
    assert list(seen["days"].values()) == [5]
    assert seen["kinds"] == {"rating": 5}


def test_agreement_is_that_of_the_statistics_without_repeats_and_known_answers(people):
    slug = make(people, overlap=2, repeat_every=3)
    said = [lambda n, i: {"choice": "tie" if n % 3 else "both_bad"}, lambda n, i: {"choice": "tie"}]
    for name, what in zip(("ann", "bob"), said, strict=True):
        for _ in range(3):
            answer(people.client(name), slug, what, 7)
    studio = people.studio
    repeats = {turn.key for turn in studio.desk.turns.values() if turn.repeat}
    plain = [one for one in studio.store.answers() if one.key not in repeats]
    assert 0 < len(plain) < len(studio.store.answers())
    [table] = tables(plain, {c.id: c for c in studio.store.completions()})
    [one] = look(people)["agreement"]
    rate, nominal = agreement_rate(table, RESAMPLES), alpha(table, "nominal", RESAMPLES)
    assert one["rate"] == (rate.value, rate.low, rate.high)
    assert one["alpha"][0] == nominal.value
    assert one["shared"] == len(table.shared_counts())
    assert "Do people agree?" in people.client("rita", "reviewer").get("/dashboard").text


def test_a_view_is_of_one_project_and_of_people_unless_all_are_asked_for(people):
    slug, other = make(people, policies=["policy-0", "policy-1"]), make(people, **RATED)
    studio = people.studio
    answer(people.client("ann"), slug, lambda n, i: {"choice": i["candidates"][0]["id"]})
    answer(people.client("ann"), other, lambda n, i: {"scores": {"true": 3, "kind": 5}}, 4)
    studio.store.add_answers(
        [Answer(f"sim{n}", "robot", "simulated", Comparison(f"p{n}", f"p{n}-0", f"p{n}-1", "a")) for n in range(3)]
    )
    here = studio.projects[slug].id
    assert look(people)["kinds"] == {"comparison": 10, "rating": 4}
    assert look(people, here)["kinds"] == {"comparison": 10}
    assert look(people, None, True)["kinds"] == {"comparison": 13, "rating": 4}
    assert look(people, here)["places"] == look(people)["places"] != look(people, None, True)["places"]
    mine = [one for one in studio.store.answers("comparison") if one.annotator == "ann"]
    plain = standings(mine, {c.id: c for c in studio.store.completions()})
    assert look(people)["places"] == plain
    rita = people.client("rita", "reviewer")
    page = rita.get(f"/dashboard?project={slug}").text
    assert "robot" not in page
    assert f'<option value="{slug}" selected>' in page
    assert "robot" in rita.get("/dashboard?who=all").text
    assert rita.get("/dashboard?project=nothing").status_code == 404
    assert rita.get("/dashboard?who=nobody").status_code == 422


def test_figures_are_counted_anew_only_where_something_was_said(people, monkeypatch):
    slug, ann = make(people), people.client("ann")
    answer(ann, slug, lambda n, i: {"choice": "tie"}, 1)
    board, calls = Board(people.studio), Counter()
    real = people.studio.store.answers
    monkeypatch.setattr(people.studio.store, "answers", lambda *a, **k: (calls.update(["read"]), real(*a, **k))[1])
    for _ in range(3):
        assert board.look(View(), board.desks())["kinds"] == {"comparison": 1}
    assert calls["read"] == 1
    answer(ann, slug, lambda n, i: {"choice": "tie"}, 2)
    assert board.look(View(), board.desks())["kinds"] == {"comparison": 3}


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True])
def test_a_run_shows_its_figures_and_curves_and_whether_it_is_under_way(people, tmp_path, done):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    lines = [{"stage": "rounds/1/aligned", "step": n, "reward": n / 10, "kl": n / 100, "other": "x"} for n in range(5)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"stage": "rou')
    if done:
        figures = {"win_rate": 0.8, "win_rate_interval": [0.7, 0.9], "reward_accuracy": 0.9, "calibration_error": None}
        bins = [{"low": 0.0, "high": 1.0, "count": 4, "predicted": 0.5, "observed": 0.6}]
        (folder / "evaluation.json").write_text(json.dumps({**figures, "reliability": bins}))
        (folder / "report.html").write_text("")
    [run] = runs(tmp_path)
    assert run["going"] is not done
    assert [(line["name"], line["y"][-1]) for line in run["curves"]] == [("reward", 0.4), ("kl", 0.04)]
    rita = people.client("rita", "reviewer")
    page = rita.get("/dashboard/runs").text
    assert ("under way" in page) is not done
    assert ("0.700 – 0.900" in page) is done
    address = page.split('src="/plots/')[1].split('"')[0]
    drawn = rita.get(f"/plots/{address}")
    assert drawn.status_code == 200
    assert "rounds/1/aligned: reward" in drawn.text
    assert people.client("ann").get("/dashboard/runs").status_code == 403
    # What has not spoken for long is not under way.
    old = time.time() - 3600
    for path in folder.iterdir():
        os.utime(path, (old, old))
    assert runs(tmp_path)[0]["going"] is False
