"""What makes it quick: own keys, going back, remarks, media that are there before they are wanted."""

import numpy as np
import pytest

from harken.data.blobs import Blobs
from harken.data.media.image import encode_png
from harken.types import Completion, Image, Message, Prompt, Text


def test_letters_in_a_text_box_are_letters(person):
    page = person.open(person.place.project())
    before = person.shown()
    person.press("c")
    page.keyboard.type("1 2 skip? =u")
    assert page.locator("#comment").input_value() == "1 2 skip? =u"
    assert person.shown() == before
    person.press("Escape", "1")
    [kept] = person.kept(1)
    assert kept.feedback.choice == "a"
    item = person.place.ask("GET", f"/items/{page_item(person, kept.key)}")
    assert [(r["kind"], r["text"]) for r in item["remarks"]] == [("comment", "1 2 skip? =u")]


def page_item(person, key: str) -> int:
    with person.place.store.engine.connect() as connection:
        return int(connection.exec_driver_sql("select item from turns where key = ?", (key,)).scalar_one())


def test_own_keys(person):
    page = person.open(person.place.project())
    person.press("?")
    page.locator("#key-first").focus()
    person.press("j")
    page.locator("#key-second").focus()
    person.press("3")
    # Two that trade places stay two keys.
    assert page.locator("#key-tie").input_value() == "2"
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    page.wait_for_selector("#question")
    assert page.locator("[data-act=first] kbd").inner_text() == "J"
    person.press("j", "1", "3")
    assert [one.feedback.choice for one in person.kept(2)] == ["a", "b"]


def test_a_digit_that_the_forms_need_is_no_own_key(person):
    page = person.open(person.place.project(forms=["ranking"]))
    person.press("?")
    page.locator("#key-skip").focus()
    person.press("2")
    assert page.locator("#key-skip").input_value() == "S"
    assert "“Skip”" in page.locator("#keys-told").inner_text()
    # Nor by a trade of places.
    page.locator("#key-second").focus()
    person.press("s")
    assert (page.locator("#key-second").input_value(), page.locator("#key-skip").input_value()) == ("2", "S")
    page.locator("#key-skip").focus()
    person.press("x")
    assert page.locator("#key-skip").input_value() == "X"
    assert page.locator("#keys-told").inner_text() == ""


def test_no_single_keys(person):
    page = person.open(person.place.project())
    person.press("?")
    page.get_by_label("No single-key shortcuts").check()
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    page.wait_for_selector("#question")
    before = person.shown()
    person.press("1", "s", "2", "Enter", "f", "u")
    assert person.shown() == before
    assert page.locator("kbd:visible").count() == 0
    page.get_by_role("button", name="A is better").press("Enter")
    assert [one.feedback.choice for one in person.kept(1)] == ["a"]


def test_the_last_ten_are_opened_again_and_changed(person):
    page = person.open(person.place.project())
    person.go_through(12, "1")
    page.wait_for_selector("#question")
    person.press("u")
    assert page.locator("#past li").count() == 10
    person.press("Enter")
    assert page.locator("#question").inner_text().startswith("Changing your answer")
    assert page.locator("[data-act=first].was").count() == 1
    person.press("2")
    assert len(person.kept(13, amended=True)) == 13
    kept = person.kept(12)
    assert kept[-1].feedback.choice == "b"
    assert kept[-1].amends == kept[-1].key.removesuffix("~1")
    # After a reload it is the studio that knows; what was changed is changed again.
    page.reload()
    page.wait_for_selector("#question")
    person.press("u")
    page.locator("#past li").nth(9).wait_for()
    assert "B is better" in page.locator("#past li").first.inner_text()
    page.locator("#past li button").first.click()
    person.press("3")
    assert person.kept(14, amended=True)[-1].key.endswith("~2")
    assert person.kept(12)[-1].feedback.choice == "tie"


def test_what_was_reopened_can_be_left_as_it_was(person):
    page = person.open(person.place.project())
    person.press("1")
    before = person.shown()
    person.press("u", "Enter", "s")
    assert person.shown() == before
    page.wait_for_timeout(300)
    assert len(person.kept(1, amended=True)) == 1


def test_a_comment_on_what_was_reopened_and_left_as_it_was_is_sent(person):
    page = person.open(person.place.project())
    person.press("1")
    person.press("u", "Enter", "c")
    page.keyboard.type("on second thought")
    person.press("Escape", "s")
    assert [one.feedback.choice for one in person.kept(2, amended=True)] == ["a", "a"]
    person.all_sent()
    with person.place.store.engine.connect() as connection:
        query = "select kind, text from remarks where annotator = ?"
        found = [tuple(row) for row in connection.exec_driver_sql(query, (person.name,))]
    assert found == [("comment", "on second thought")]


def test_a_skip_is_undone(person):
    page = person.open(person.place.project())
    first = person.shown()
    person.press("s")
    assert person.shown() != first
    person.press("u")
    assert "Skipped" in page.locator("#past li").first.inner_text()
    person.press("Enter")
    assert person.shown() == first
    person.press("2")
    [kept] = [one.feedback for one in person.kept(1)]
    assert ((kept.a, kept.b), kept.choice) == (tuple(first), "b")


def test_grades_are_changed_one_after_another(person):
    criteria = [{"name": "truth"}, {"name": "manner"}]
    page = person.open(person.place.project(forms=["rating"], criteria=criteria))
    person.press("4", "4")
    person.press("u", "Enter", "1", "2")
    assert page.locator("#question").inner_text().startswith("Changing")
    person.press("Enter")
    person.kept(4, amended=True)
    assert {one.feedback.criterion: one.feedback.score for one in person.kept(2)} == {"truth": 1, "manner": 2}


def test_flags_and_skips_are_kept_with_their_comment(person):
    page = person.open(slug := person.place.project())
    person.press("f")
    person.press("c")
    page.keyboard.type("too hard")
    person.press("Escape", "s", "1")
    person.kept(1)
    person.all_sent()
    with person.place.store.engine.connect() as connection:
        query = "select kind, text from remarks where annotator = ? order by seq"
        found = [tuple(row) for row in connection.exec_driver_sql(query, (person.name,))]
    assert found == [("flag", ""), ("skip", ""), ("comment", "too hard")]
    assert (
        person.place.ask("GET", f"/projects/{slug}")["left"]
        == person.place.ask("GET", f"/projects/{slug}")["items"] - 1
    )


def test_sounds_play_by_keys_one_at_a_time(person):
    page = person.open(person.place.project())
    asked = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - a builtin is refused
    page.reload()
    page.wait_for_selector("#question")

    def sounds(what: str):
        return page.evaluate(f"[...document.querySelectorAll('audio')].map((one) => one.{what})")

    person.press("Space")
    page.wait_for_timeout(600)
    assert sounds("paused") == [False, True]
    assert 0 < sounds("currentTime")[0] < 4
    person.press("n")
    page.wait_for_timeout(300)
    assert sounds("paused") == [True, False]
    person.press("l", ".", ".", ",")
    assert sounds("loop") == [False, True]
    assert sounds("playbackRate") == [1, 1.25]
    person.press("Space")
    page.wait_for_timeout(100)
    assert sounds("paused") == [True, True]
    ranged = [one for one in asked if one.resource_type == "media" and "range" in one.all_headers()]
    assert ranged
    assert all(one.response().status in (200, 206) for one in ranged)
    assert 206 in {one.response().status for one in ranged}
    person.press("1")
    assert sounds("paused") == [True, True]


def test_a_picture_is_looked_at_closer(person):
    page = person.open(person.place.project())
    person.press("z")
    image = page.locator("#zoom img")
    before = image.bounding_box()["width"]
    person.press("+", "+")
    assert image.bounding_box()["width"] == pytest.approx(before * 2.25, rel=0.02)
    # Keys of the page rest while the dialog is open.
    shown = person.shown()
    person.press("1", "2")
    assert person.shown() == shown
    person.press("z")
    assert not page.locator("#zoom").is_visible()
    page.locator(".picture").click()
    page.locator("#zoom").get_by_role("button", name="Close").click()
    assert not page.locator("#zoom").is_visible()


def test_a_small_picture_is_looked_at_as_large_as_the_window_allows(person):
    store = person.place.store
    blob = Blobs(person.place.folder / "blobs").put(encode_png(np.full((8, 8, 3), 99, np.uint8)), "image")
    store.add_prompts([Prompt("small", (Message("user", (Image(blob), Text("Which digit?"))),))])
    store.add_completions([Completion(f"small-{n}", "small", f"Small {n}", f"small-{n}") for n in range(2)])
    page = person.open(person.place.project(policies=["small-0", "small-1"]))
    person.press("z")
    box = page.locator("#zoom img").bounding_box()
    assert 600 < box["width"] == pytest.approx(box["height"], abs=2)
    assert page.locator("#zoom .zoomed").evaluate("(one) => one.scrollHeight - one.clientHeight") == 0
    assert page.locator("#zoom img").evaluate("(one) => getComputedStyle(one).imageRendering") == "pixelated"
    person.press("+")
    assert page.locator("#zoom img").bounding_box()["width"] == pytest.approx(box["width"] * 1.5, rel=0.02)


def test_the_next_items_media_are_there_before_they_are_shown(person):
    page = person.open(person.place.project())
    page.wait_for_load_state("networkidle")
    person.context.set_offline(True)
    for _ in range(4):
        person.press("1")
        assert page.evaluate(
            "[...document.querySelectorAll('.picture img')].map((i) => i.complete && i.naturalWidth)"
        ) == [640]
        page.wait_for_timeout(50)
        drawn = "document.querySelector('canvas').getContext('2d').getImageData(0, 0, 600, 64).data.some((one) => one)"
        assert page.evaluate(drawn)
    person.context.set_offline(False)
    person.kept(4)


def test_nothing_moves_when_a_picture_arrives(person):
    late = []
    person.page.route("**/media/*", lambda route: late.append(route))  # noqa: PLW0108 - a builtin is refused
    page = person.open(person.place.project())
    page.wait_for_timeout(300)
    where = "[...document.querySelectorAll('#task button, .sound, .card')].map((e) => e.getBoundingClientRect().top)"
    before = page.evaluate(where)
    assert late
    for route in list(late):
        route.continue_()
    page.unroute("**/media/*")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.querySelector('.picture img').naturalWidth") == 640
    assert page.evaluate(where) == before


def test_turns_of_a_conversation_and_no_media(person):
    turns = (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("And now?"),)),
        Message("assistant", (Text("Now."),)),
    )
    store = person.place.store
    store.add_prompts([Prompt("talk", turns)])
    store.add_completions([Completion(f"talk-{n}", "talk", f"Talk {n}", f"talker-{n}") for n in range(2)])
    page = person.open(person.place.project(policies=["talker-0", "talker-1"]))
    assert page.locator(".who").all_text_contents() == ["System", "User", "Assistant"]
    person.press("Space", "z", "n", "1")
    person.kept(1)
    assert page.locator("#empty").inner_text() == "Nothing is left for you to answer. Thank you!"
