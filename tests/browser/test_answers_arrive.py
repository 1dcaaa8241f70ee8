"""Whatever happens between the key and the store: the answer arrives, and once."""

from collections import Counter

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


def once(kept) -> bool:
    return max(Counter(answer.key for answer in kept).values()) == 1


def test_offline_and_back(person):
    page = person.open(person.place.project())
    person.press("1")
    person.kept(1)
    person.all_sent()
    person.context.set_offline(True)
    for n in range(4):
        person.press("2")
        person.waiting(n + 1)
    page.wait_for_selector("#away:not([hidden])")
    assert "kept here" in page.locator("#away").inner_text()
    assert len(person.kept(1)) == 1
    person.press("u")
    assert page.locator("#past li").count() == 5
    person.press("Escape")
    person.context.set_offline(False)
    kept = person.kept(5)
    person.all_sent()
    page.wait_for_selector("#away", state="hidden")
    assert once(kept)
    assert [one.feedback.choice for one in kept] == ["a", "b", "b", "b", "b"]


def test_offline_until_nothing_is_left_and_back(person):
    page = person.open(person.place.project())
    page.wait_for_load_state("networkidle")
    person.context.set_offline(True)
    for _ in range(12):
        person.press("1")
    assert page.locator("#empty").inner_text().startswith("Nothing is here")
    person.press("u")
    given = page.locator("#past li").count()
    assert given >= 6
    person.press("Escape")
    person.waiting(given)
    person.context.set_offline(False)
    page.wait_for_selector("#question")
    assert once(person.kept(given))


@pytest.mark.parametrize("stored", [False, True], ids=["before", "after"])
def test_the_server_is_killed_between_the_key_and_the_acknowledgement(own_place, enter, stored):
    person = enter(at=own_place)
    page = person.open(own_place.project())
    killed = []

    def cut(route):
        if killed:
            route.continue_()
            return
        killed.append(route.fetch().status if stored else 0)
        own_place.kill()
        route.abort()

    page.route("**/api/v1/answers", cut)
    person.press("1")
    page.wait_for_selector("#away:not([hidden])")
    assert killed == [200 if stored else 0]
    assert len(own_place.store.answers(annotator=person.name)) == stored
    person.press("3")
    person.waiting(2)
    own_place.start_again()
    kept = person.kept(2)
    person.all_sent()
    assert once(kept)
    assert [one.feedback.choice for one in kept] == ["a", "tie"]
    assert page.locator("#told .notice").count() == 0


def test_a_reload_with_unsent_answers(person):
    page = person.open(person.place.project())
    page.route("**/api/v1/answers", lambda route: route.abort())
    person.press("1", "2")
    person.waiting(2)
    before = person.shown()
    page.reload()
    page.wait_for_selector("#question")
    person.waiting(2)
    assert person.shown() == before
    page.unroute("**/api/v1/answers")
    assert [one.feedback.choice for one in person.kept(2)] == ["a", "b"]


def test_a_closed_tab_with_unsent_answers_is_opened_again(person):
    page = person.open(slug := person.place.project())
    page.route("**/api/v1/answers", lambda route: route.abort())
    person.press("1", "2")
    person.waiting(2)
    before = person.shown()
    page.close()
    assert person.place.store.answers(annotator=person.name) == []
    person.page = person.new_page()
    person.page.goto(f"{person.place.address}/nowhere")
    while person.page.evaluate("navigator.locks.query().then((locks) => locks.held.length)"):
        person.page.wait_for_timeout(50)  # the browser is still closing the tab
    person.open(slug)
    # The same items as the closed window had, which nobody else can be given for a while.
    assert person.shown() == before
    assert [one.feedback.choice for one in person.kept(2)] == ["a", "b"]
    person.all_sent()


def test_two_windows_of_one_person_get_different_items(person):
    slug = person.place.project(forms=["rating"])
    first = person.open(slug)
    second = person.page = person.new_page()
    person.open(slug)
    for _ in range(8):
        for page in (first, second):
            page.bring_to_front()
            page.wait_for_selector("#question")
            page.keyboard.press("4")
    kept = person.kept(16)
    assert len({one.feedback.completion for one in kept}) == 16
    assert first.locator("#told .notice").count() + second.locator("#told .notice").count() == 0


def test_a_window_that_was_duplicated_is_another_window(person):
    page = person.open(slug := person.place.project())
    name = page.evaluate("sessionStorage.harkenWindow")
    shown = person.shown()
    person.page = person.new_page()
    person.page.goto(f"{person.place.address}/nowhere")
    person.page.evaluate("name => (sessionStorage.harkenWindow = name)", name)
    person.open(slug)
    assert person.page.evaluate("sessionStorage.harkenWindow") != name
    assert person.shown() != shown


def test_a_session_that_is_over_keeps_the_answers_until_one_enters_again(person):
    slug = person.place.project()
    page = person.open(slug)
    person.context.clear_cookies()
    person.press("1", "2")
    link = page.locator("#away a")
    link.wait_for()
    assert "Enter again" in page.locator("#away").inner_text()
    person.waiting(2)
    assert person.place.store.answers(annotator=person.name) == []
    invite = person.place.ask("POST", f"/users/{person.name}/invite")["invite"]
    # By the link to the page of entering, and by the invitation from there back to the items.
    link.click()
    page.wait_for_url("**/enter?next=*")
    page.goto(f"{page.url}#{invite}")
    page.reload()
    page.wait_for_url(f"**/p/{slug}")
    assert [one.feedback.choice for one in person.kept(2)] == ["a", "b"]


def test_what_waits_is_sent_as_soon_as_the_studio_answers_anything(person):
    page = person.open(person.place.project())
    page.wait_for_load_state("networkidle")
    page.route("**/api/v1/**", lambda route: route.abort())
    person.press("1")
    page.wait_for_selector("#away:not([hidden])")
    # As after a long absence, when the next try is far away.
    page.wait_for_timeout(8000)
    page.unroute("**/api/v1/**")
    person.press("u")
    page.wait_for_selector("#away", state="hidden", timeout=2500)
    assert [one.feedback.choice for one in person.kept(1)] == ["a"]


@pytest.mark.parametrize("status", [403, 409])
def test_an_answer_that_cannot_be_taken_now_is_told_kept_and_holds_up_no_other(enter, status):
    person = enter(name=f"put aside by {status}")
    page = person.open(slug := person.place.project())
    page.wait_for_load_state("networkidle")
    first = []

    def refuse(route):
        sent = route.request.post_data_json["answers"]
        first[:] = first or [sent[0]["key"]]
        if first[0] in [one["key"] for one in sent]:
            route.fulfill(status=status, json={"error": "not now"})
        else:
            route.continue_()

    page.route("**/api/v1/answers", refuse)
    person.press("1")
    notice = page.locator("#told .notice")
    notice.wait_for()
    assert "not now" in notice.inner_text()
    person.press("2", "3")
    assert [one.feedback.choice for one in person.kept(2)] == ["b", "tie"]
    person.waiting(1)
    assert not page.locator("#away").is_visible()
    page.reload()
    notice.wait_for()
    person.waiting(1)
    assert notice.count() == 1
    page.unroute("**/api/v1/answers")
    notice.get_by_role("button", name="Send again now").click()
    assert sorted(one.feedback.choice for one in person.kept(3)) == ["a", "b", "tie"]
    person.all_sent()
    assert notice.count() == 0
    page.route("**/api/v1/answers", lambda route: route.fulfill(status=status, json={"error": "never"}))
    person.open(slug)
    person.press("1")
    notice.get_by_role("button", name="Throw it away").click()
    person.all_sent()
    person.kept(3)


def test_what_stands_is_listed_after_another_window_was_first(person):
    first = person.open(slug := person.place.project())
    person.press("1")
    person.kept(1)
    second = person.page = person.new_page()
    person.open(slug)
    for page in (first, second):
        page.bring_to_front()
        page.keyboard.press("u")
        page.locator("#past li button").first.click()
    first.bring_to_front()
    first.keyboard.press("3")
    person.kept(2, amended=True)
    second.bring_to_front()
    second.keyboard.press("4")
    second.locator("#told .notice").wait_for()
    second.keyboard.press("u")
    sync_api.expect(second.locator("#past li").first).to_contain_text("Equally good")
    assert "Both bad" not in second.locator("#past").inner_text()
    # And is changed from there.
    second.locator("#past li button").first.click()
    second.keyboard.press("2")
    assert person.kept(3, amended=True)[-1].key.endswith("~2")


def test_an_answer_that_cannot_be_taken_is_told_and_holds_up_no_other(person):
    page = person.open(person.place.project())
    page.route("**/api/v1/answers", lambda route: route.abort())
    person.press("1")
    person.waiting(1)
    page.evaluate(
        """() => new Promise((done) => {
             const asked = indexedDB.open("harken-outbox", 1);
             asked.onsuccess = () => {
               const work = asked.result.transaction("answers", "readwrite");
               const kept = work.objectStore("answers");
               kept.getAll().onsuccess = (found) =>
                 kept.add({ user: found.target.result[0].user, answer: { key: "x", said: {}, seconds: -1 } });
               work.oncomplete = done;
             };
           })"""
    )
    person.press("2")
    page.unroute("**/api/v1/answers")
    assert [one.feedback.choice for one in person.kept(2)] == ["a", "b"]
    page.wait_for_selector("#told .notice")
    person.press("3")
    person.kept(3)
    assert page.locator("#told .notice").count() == 1
    page.locator("#told button").click()
    assert page.locator("#told .notice").count() == 0
