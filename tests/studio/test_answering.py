"""The road of an answer: asked, said, kept once, amended, shown again."""

import pytest
from sqlalchemy import select

from harken.feedback.desk.keeping import Remark, Said, write_said
from harken.feedback.schema import annotators, remarks
from harken.studio.state import open_studio
from harken.types import Answer, Comparison, Edit, Ranking, Rating

MANY = {
    "title": "Everything",
    "forms": ["comparison", "ranking", "rating", "edit"],
    "criteria": [{"name": "true"}, {"name": "kind", "levels": 7}],
}


def make(people, **settings) -> str:
    told = people.client("olga", "owner").post("/api/v1/projects", json={"settings": {"title": "One", **settings}})
    assert told.status_code == 201, told.text
    return told.json()["slug"]


def take(client, slug, want=5, tab="t", holding=()):
    told = client.post(f"/api/v1/projects/{slug}/next", json={"tab": tab, "want": want, "holding": list(holding)})
    assert told.status_code == 200, told.text
    return told.json()["items"]


def say(client, key, said, **more):
    told = client.post("/api/v1/answers", json={"answers": [{"key": key, "said": said, "seconds": 2.0, **more}]})
    assert told.status_code == 200, told.text
    return told.json()["results"][0]


def some_said(item):
    names = [candidate["id"] for candidate in item["candidates"]]
    match item["form"]:
        case "comparison":
            return {"choice": names[1]}
        case "ranking":
            return {"tiers": [[names[2]], names[:2]], "rest": []}
        case "rating":
            return {"scores": {"true": 4, "kind": 7}}
        case _:
            return {"candidate": names[0], "revision": "It is something else."}


def test_every_form_is_kept_as_what_was_said(people):
    slug, ann = make(people, **MANY), people.client("ann")
    studio = people.studio
    for item in take(ann, slug, 8):
        said = some_said(item)
        assert say(ann, item["key"], said)["status"] == "kept"
        turn = studio.desk.turns[item["key"]]
        shown = studio.shuffled(studio.desk.items[turn.item], "ann")
        kept = [a for a in studio.store.answers() if a.key.startswith(item["key"])]
        assert {a.annotator for a in kept} == {"ann"}
        match kept[0].feedback:
            case Comparison(a=a, b=b, choice=choice, criterion=criterion):
                assert ((a, b), choice, criterion) == (shown, "b", "true")
            case Ranking(tiers=tiers):
                assert tiers == ((shown[2],), shown[:2])
            case Rating():
                graded = {a.feedback.criterion: (a.feedback.score, a.feedback.levels) for a in kept}
                assert graded == {"true": (4, 5), "kind": (7, 7)}
            case Edit(completion=completion, revision=revision):
                assert (completion, revision) == (shown[0], "It is something else.")


def test_sending_again_changes_nothing_and_something_else_under_the_same_key_is_told(people):
    slug, ann = make(people), people.client("ann")
    [item] = take(ann, slug, 1)
    names = [c["id"] for c in item["candidates"]]
    assert say(ann, item["key"], {"choice": names[0]})["status"] == "kept"
    assert say(ann, item["key"], {"choice": names[0]})["status"] == "there"
    assert say(ann, item["key"], {"choice": names[1]})["status"] == "other"
    [kept] = people.studio.store.answers()
    assert kept.feedback.choice == "a"
    assert people.studio.desk.left(1) == people.studio.desk.size(1) - 1


def test_an_amendment_is_a_new_row_and_the_last_ten_are_shown_with_what_was_said(people):
    slug, ann = make(people, **MANY), people.client("ann")
    items = take(ann, slug, 12)
    for item in items:
        say(ann, item["key"], some_said(item))
    first = next(item for item in items if item["form"] == "rating")
    assert say(ann, first["key"], {"scores": {"true": 1, "kind": 1}}, amends=1)["status"] == "kept"
    assert say(ann, first["key"], {"scores": {"true": 2, "kind": 2}}, amends=2)["status"] == "kept"
    # A second branch from the same answer is refused: two windows cannot both be the last word.
    assert say(ann, first["key"], {"scores": {"true": 3, "kind": 3}}, amends=2)["status"] == "other"
    shown = ann.get(f"/api/v1/projects/{slug}/mine").json()["items"]
    assert len(shown) == 10
    by_key = {item["key"]: item for item in shown}
    for item in items[2:]:
        if item is not first:
            expected = some_said(item)
            found = by_key[item["key"]]["said"]
            assert {name: found[name] for name in expected} == expected
    if first["key"] in by_key:
        assert by_key[first["key"]]["said"] == {"scores": {"true": 2, "kind": 2}}
        assert by_key[first["key"]]["next_amends"] == 3
    every = [a for a in people.studio.store.answers(amended=True) if a.key.startswith(first["key"])]
    assert len(every) == 6
    assert sorted(a.feedback.score for a in people.studio.store.answers() if a.key.startswith(first["key"])) == [2, 2]


def test_what_was_said_last_is_shown_first_whatever_was_given_first(people):
    slug, ann = make(people), people.client("ann")
    items = take(ann, slug, 5)
    for at in (3, 0, 4):
        say(ann, items[at]["key"], {"choice": "tie"})
    say(ann, items[1]["key"], {}, remarks={"skip": ""})
    shown = [item["key"] for item in ann.get(f"/api/v1/projects/{slug}/mine").json()["items"]]
    assert shown == [items[at]["key"] for at in (1, 4, 0, 3)]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"choice": "a"}, "candidate's id"),
        ({"choice": "nobody"}, "candidate's id"),
        ({"choice": "tie", "strength": 2}, "strength"),
        ({"choice": "tie", "more": 1}, "not more"),
        ({"scores": {"true": 3}}, "not scores"),
        ({}, "says something"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason_and_the_item_stays(people, said, words):
    slug, ann = make(people), people.client("ann")
    [item] = take(ann, slug, 1)
    told = say(ann, item["key"], said)
    assert told["status"] == "refused"
    assert words in told["why"]
    assert people.studio.store.answers() == []
    assert [i["key"] for i in take(ann, slug, 1)] == [item["key"]]


def test_refusals_name_candidates_as_the_page_does(people):
    slug, ann, studio = make(people, **MANY), people.client("ann"), people.studio
    bad = {
        "comparison": lambda names: {"choice": names[0], "strength": 7},
        "ranking": lambda names: {"tiers": [[names[0], names[0]], names[1:2]], "rest": []},
        "rating": lambda names: {"scores": {"true": 9, "kind": 1}},
        "edit": lambda names: {"candidate": names[0], "revision": " "},
    }
    seen = set()
    for item in take(ann, slug, 20):
        names = [one["id"] for one in item["candidates"]]
        told = say(ann, item["key"], bad[item["form"]](names))
        assert told["status"] == "refused"
        real = studio.desk.items[studio.desk.turns[item["key"]].item]
        for hidden in (*real.completions, repr(real.prompt_id), "policy"):
            assert hidden not in told["why"], told["why"]
        seen.add(item["form"])
    assert seen == set(bad)


def test_each_comment_on_an_item_is_kept_and_sending_it_again_adds_none(people):
    slug, ann = make(people), people.client("ann")
    [item] = take(ann, slug, 1)
    say(ann, item["key"], {}, remarks={"skip": "", "comment": "hard"})
    for _ in range(2):
        assert say(ann, item["key"], {"choice": "tie"}, remarks={"comment": "not so hard"})["status"] in (
            "kept",
            "there",
        )
    number = people.studio.desk.turns[item["key"]].item
    found = people.client("rita", "reviewer").get(f"/api/v1/items/{number}").json()["remarks"]
    assert [(r["kind"], r["text"]) for r in found] == [("skip", ""), ("comment", "hard"), ("comment", "not so hard")]


def test_nobody_answers_what_was_given_to_another(people):
    slug, ann, bob = make(people), people.client("ann"), people.client("bob")
    [item] = take(ann, slug, 1)
    told = say(bob, item["key"], {"choice": item["candidates"][0]["id"]})
    assert (told["status"], people.studio.store.answers()) == ("refused", [])


def test_names_on_a_page_say_nothing_and_differ_from_turn_to_turn(people):
    slug = make(people, overlap=2)
    one, other = take(people.client("ann"), slug, 50), take(people.client("bob"), slug, 50)
    words = str(one)
    for hidden in ("policy", "p1-0", "p1-1"):
        assert hidden not in words
    ids = [c["id"] for item in one + other for c in item["candidates"]]
    assert len(set(ids)) == len(ids)
    studio = people.studio
    swapped = [
        studio.shuffled(studio.desk.items[studio.desk.turns[i["key"]].item], "ann")
        != studio.shuffled(studio.desk.items[studio.desk.turns[i["key"]].item], "bob")
        for i in one
    ]
    assert 0.1 < sum(swapped) / len(swapped) < 0.9


@pytest.mark.slow
def test_the_sides_are_the_same_when_an_item_comes_again(people):
    slug, ann = make(people, repeat_every=3), people.client("ann")
    seen: dict[int, list[str]] = {}
    again = 0
    for _ in range(30):
        items = take(ann, slug, 1)
        if not items:
            break
        texts = [c["text"] for c in items[0]["candidates"]]
        number = people.studio.desk.turns[items[0]["key"]].item
        again += number in seen
        assert seen.setdefault(number, texts) == texts
        say(ann, items[0]["key"], {"choice": "tie"})
    assert again > 3


def test_a_turn_that_is_refused_in_part_is_refused_whole_and_the_others_of_its_commit_are_kept(people):
    make(people, forms=["rating"])

    def answer(key, who, criterion, amends=None):
        return Answer(key, who, "human", Rating("p0", "p0-0", 3, 5, criterion), 1.0, amends)

    def said(*answers):
        return Said(answers[0].key, "answered", 0, answers, (Remark(answers[0].key, 1, "x", "comment", ""),))

    refused = said(answer("one", "ann", "truth"), answer("one/manner", "ann", "manner", "never said"))
    good = said(answer("two", "bob", "truth"), answer("two/manner", "bob", "manner"))
    with people.studio.store.engine.execution_options(writes=True).begin() as connection:
        told = write_said(connection, [refused, good])
        assert isinstance(told[0], ValueError)
        assert told[1] == list(good.answers)
        assert connection.scalars(select(remarks.c.key)).all() == ["two"]
        assert connection.scalars(select(annotators.c.id)).all() == ["bob"]
    assert [one.key for one in people.studio.store.answers()] == ["two", "two/manner"]


def test_what_is_too_long_is_refused_alone_and_the_item_stays(people):
    make(people, forms=["edit"], overlap=1)
    ann = people.client("ann")
    first, second = take(ann, "one", 2)
    said = [
        {"key": one["key"], "said": {"candidate": one["candidates"][0]["id"], "revision": "x"}}
        for one in (first, second)
    ]
    for more, words in (
        ({"said": {**said[0]["said"], "revision": "x" * 100_001}}, "an edit has at most 100,000 letters"),
        ({"remarks": {"comment": "x" * 10_001}}, "a comment has at most 10,000 letters"),
    ):
        told = ann.post("/api/v1/answers", json={"answers": [{**said[0], **more}, said[1]]}).json()["results"]
        assert [one["status"] for one in told] in (["refused", "kept"], ["refused", "there"])
        assert words in told[0]["why"]
    most = {"remarks": {"comment": "x" * 10_000}, "said": {**said[0]["said"], "revision": "x" * 100_000}}
    told = ann.post("/api/v1/answers", json={"answers": [{**said[0], **most}]}).json()["results"]
    assert told[0]["status"] == "kept"


def test_skips_flags_and_comments_are_kept_and_shown_to_reviewers(people):
    slug, ann = make(people), people.client("ann")
    first, second = take(ann, slug, 2)
    assert say(ann, first["key"], {}, remarks={"skip": "too hard"})["status"] == "kept"
    told = say(ann, second["key"], {"choice": "both_bad"}, remarks={"comment": " <b>rude</b> ", "flag": ""})
    assert told["status"] == "kept"
    number = people.studio.desk.turns[second["key"]].item
    found = people.client("rita", "reviewer").get(f"/api/v1/items/{number}").json()
    assert found["answers"][0]["said"]["choice"] == "both_bad"
    assert [(r["kind"], r["text"]) for r in found["remarks"]] == [("comment", "<b>rude</b>"), ("flag", "")]


def test_after_a_start_everything_is_as_it_was(people, tmp_path):
    slug, ann = make(people, overlap=2), people.client("ann")
    items = take(ann, slug, 5)
    say(ann, items[0]["key"], {"choice": "tie"})
    say(ann, items[1]["key"], {}, remarks={"skip": ""})
    people.studio.close()
    again = open_studio(people.studio.config)
    before = {key: (t.item, t.ended, t.repeat, t.tab, t.amended) for key, t in people.studio.desk.turns.items()}
    assert {key: (t.item, t.ended, t.repeat, t.tab, t.amended) for key, t in again.desk.turns.items()} == before
    assert again.desk.left(1) == people.studio.desk.left(1)
    order = [turn.key for turn in people.studio.desk.last_of(1, "ann", 10)]
    assert [turn.key for turn in again.desk.last_of(1, "ann", 10)] == order == [items[1]["key"], items[0]["key"]]
    again.close()
