"""Questions whose answer is known: made by owners, mixed in unseen, counted on the dashboard; and who is too quick."""

import pytest

from harken.studio.board import Board, View

KNOWN = {"form": "comparison", "completions": ["p1-0", "p1-1"], "answer": {"choice": "p1-1"}}


def seen_of(studio) -> dict:
    board = Board(studio)
    return board.look(View(), board.desks())


@pytest.fixture
def slug(people) -> str:
    told = {"settings": {"title": "One", "gold_every": 2, "quick_seconds": 1.0}}
    return people.client("olga", "owner").post("/api/v1/projects", json=told).json()["slug"]


def test_they_come_every_second_time_and_who_is_right_is_counted(people, slug):
    olga, ann = people.client("olga", "owner"), people.client("ann")
    assert olga.post(f"/api/v1/projects/{slug}/gold", json=KNOWN).json() == {"added": 1}
    assert olga.post(f"/api/v1/projects/{slug}/gold", json=KNOWN).json() == {"added": 0}
    studio = people.studio
    before = studio.desk.left(1)
    items = ann.post(f"/api/v1/projects/{slug}/next", json={"tab": "t", "want": 4}).json()["items"]
    known = [n for n, item in enumerate(items) if studio.desk.items[studio.desk.turns[item["key"]].item].gold]
    assert known == [1]
    assert items[1].keys() == items[0].keys()
    right = studio.hidden(items[1]["key"], "p1-1")
    for item, choice, seconds in ((items[0], "tie", 0.2), (items[1], right, 3.0)):
        said = {"answers": [{"key": item["key"], "said": {"choice": choice}, "seconds": seconds}]}
        assert ann.post("/api/v1/answers", json=said).json()["results"][0]["status"] == "kept"
    seen = seen_of(studio)
    assert seen["gold"] == {"ann": (1, 1)}
    assert [(one["name"], one["answers"], one["quick"]) for one in seen["annotators"]] == [("ann", 2, 1)]
    wrong = {"key": items[1]["key"], "said": {"choice": "both_bad"}, "seconds": 0.1, "amends": 1}
    ann.post("/api/v1/answers", json={"answers": [wrong]})
    seen = seen_of(studio)
    assert seen["gold"] == {"ann": (0, 1)}, "the last word counts"
    assert [(one["answers"], one["quick"]) for one in seen["annotators"]] == [(2, 1)], "a change is no new answer"
    ann.post("/api/v1/answers", json={"answers": [{**wrong, "said": {"choice": right}, "amends": 2}]})
    assert studio.desk.left(1) == before - 1
    assert "1 / 1" in people.client("rita", "reviewer").get("/dashboard").text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"answer": {"choice": "p2-0"}}, "one of p1-0"),
        ({"answer": {}}, "missing"),
        ({"completions": ["p1-0"]}, "of two completions"),
        ({"completions": ["p1-0", "p2-0"]}, "different prompts"),
        ({"completions": ["p1-0", "nothing"]}, "in the store"),
        ({"form": "rating", "completions": ["p1-0"], "answer": {"low": 3, "high": 2}}, "low <= high"),
    ],
)
def test_what_is_no_known_answer_is_refused(people, slug, changed, words):
    told = people.client("olga", "owner").post(f"/api/v1/projects/{slug}/gold", json={**KNOWN, **changed})
    assert (told.status_code, words in told.json()["error"]) == (422, True), told.text
