"""Coming in: by a link, from elsewhere, with a link that is over; and never to another place than this studio."""

import pytest

ELSEWHERE = "http://elsewhere.test/"
OUTWARD = [
    "/%09/evil.example/x",
    "/%0a/evil.example/x",
    "//evil.example/x",
    "/%5Cevil.example/x",
    "/.//evil.example/x",
    "https://evil.example/x",
    "javascript:window.pwned=1",
    "http://[",
]


def test_a_link_from_elsewhere_leads_those_who_are_in_to_where_it_says(person):
    slug = person.place.project()
    page = person.page
    link = f"<a href='{person.place.address}/p/{slug}?from=mail'>the items</a>"
    page.route(ELSEWHERE, lambda route: route.fulfill(content_type="text/html", body=link))
    page.goto(ELSEWHERE)
    seen = []
    page.on("response", lambda told: seen.append(told.url))
    page.click("a")
    page.wait_for_selector("#question")
    assert page.url == f"{person.place.address}/p/{slug}"
    # The browser showed no session with the link itself.
    assert any("/enter?next=" in url for url in seen)


def test_who_is_not_in_is_asked_to_enter(browser, place):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{place.address}/chat")
    page.wait_for_load_state("networkidle")
    assert page.url.endswith("/enter?next=/chat")
    assert page.locator("#by-name").is_visible()
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("nothing")
    page.locator("#by-name button").click()
    page.locator("#errors:not(:empty)").wait_for()
    assert page.locator("#errors").inner_text() == "This name and this password do not belong together."
    context.close()


@pytest.mark.parametrize("outward", OUTWARD)
def test_entering_leads_to_no_other_place(browser, place, outward):
    name = f"guest {OUTWARD.index(outward)}"
    invite = place.ask("POST", "/users", {"name": name})["invite"]
    context = browser.new_context()
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{place.address}/enter?next={outward}#{invite}")
    page.wait_for_url(lambda url: "/enter" not in url)
    page.wait_for_load_state()
    assert page.url.startswith(f"{place.address}/")
    page.goto(f"{place.address}/enter?next={outward}")
    page.wait_for_url(lambda url: "/enter" not in url)
    assert [url for url in asked if not url.startswith(place.address)] == []
    context.close()


def test_a_link_that_was_used_says_so(browser, place):
    invite = place.ask("POST", "/users", {"name": "late guest"})["invite"]
    for locale, words in (("en-GB", "ask for a new one"), ("zh-CN", "请索取新的链接")):
        context = browser.new_context(locale=locale)
        page = context.new_page()
        if locale == "en-GB":
            page.goto(f"{place.address}/enter#{invite}")
            page.wait_for_url(f"{place.address}/")
            context.clear_cookies()
        page.goto(f"{place.address}/enter#{invite}")
        page.locator("#errors:not(:empty)").wait_for()
        assert words in page.locator("#errors").inner_text()
        assert not page.locator("#invited").is_visible()
        context.close()
