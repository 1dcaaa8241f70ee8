"""Which items a project has: over which prompts, how many more, and the page of one with all that was said of it."""

import pytest


def make(people, counts=None, **settings) -> dict:
    told = {"settings": {"title": "One", **settings}, "counts": counts or {}}
    return people.client("olga", "owner").post("/api/v1/projects", json=told)


@pytest.mark.parametrize(
    ("like", "prompts"),
    [
        (["p1"], {"p1"}),
        (["p1*"], {"p1", "p10", "p11"}),
        (["p?", "p11"], {f"p{n}" for n in range(10)} | {"p11"}),
        ([], {f"p{n}" for n in range(12)}),
    ],
)
def test_a_project_asks_over_the_prompts_that_it_names(people, like, prompts):
    assert make(people, prompts=like).status_code == 201
    assert {item.prompt_id for item in people.studio.desk.items.values()} == prompts


def test_prompts_that_are_not_there_are_said_so(people):
    told = make(people, prompts=["p[1]"])
    assert told.status_code == 422
    assert "to prompts like p[1]" in told.json()["error"]
    assert make(people).json()["slug"] == "one", "what was refused has left nothing"


def test_more_items_are_as_many_as_are_wanted_and_none_twice(people):
    slug = make(people, {"comparison": 2, "rating": 3}, forms=["comparison", "rating"]).json()["slug"]
    olga, added = people.client("olga", "owner"), []
    for seed in range(30):
        told = olga.post(f"/api/v1/projects/{slug}/items", json={"most": 4, "seed": seed})
        added.append(told.json()["added"])
    assert added[0] == 8
    items = [(item.form, frozenset(item.completions)) for item in people.studio.desk.items.values()]
    assert len(items) == len(set(items)) == 12 * 3 + 12 * 3 == 5 + sum(added)
    assert added[-1] == 0


def test_settings_that_are_wrong_are_said_in_plain_words(people):
    told = make(people, overlap=0)
    assert told.json()["error"] == "settings: overlap is from 1 to 1000 and choices from 2 to 9, not 0 and 6"


def test_the_page_of_an_item_says_what_was_said_in_words(people):
    ann, rita = people.client("ann"), people.client("rita", "reviewer")
    criteria = [{"name": "true"}, {"name": "kind", "levels": 7}]
    forms = ["comparison", "ranking", "rating", "edit"]
    slug = make(people, {form: 1 for form in forms}, forms=forms, criteria=criteria, strength=True).json()["slug"]
    items = ann.post(f"/api/v1/projects/{slug}/next", json={"tab": "t", "want": 4}).json()["items"]
    said = {
        "comparison": lambda names: {"choice": names[0], "strength": 3},
        "ranking": lambda names: {"tiers": [[names[2]], names[:2]], "rest": []},
        "rating": lambda names: {"scores": {"true": 4, "kind": 7}},
        "edit": lambda names: {"candidate": names[0], "revision": "It is something else."},
    }
    given = [{"key": i["key"], "said": said[i["form"]]([c["id"] for c in i["candidates"]])} for i in items]
    assert {one["status"] for one in ann.post("/api/v1/answers", json={"answers": given}).json()["results"]} == {"kept"}
    shown = {i["form"]: rita.get(f"/items/{people.studio.desk.turns[i['key']].item}").text for i in items}
    assert "is better (By far)" in shown["comparison"]
    assert " &gt; " in shown["ranking"]
    assert " = " in shown["ranking"]
    assert "true: 4 / 5" in shown["rating"]
    assert "kind: 7 / 7" in shown["rating"]
    assert "It is something else." in shown["edit"]
    assert all(f"/projects/{slug}" in page for page in shown.values())
