"""What people and models wrote is text wherever it is shown: nothing of it runs, and the policy has nothing to stop."""

from harken.types import Completion, Message, Prompt, Text

BAD = [
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=2>",
    "<svg/onload=window.pwned=3>",
    "[click](javascript:window.pwned=4) ![p](x)",
    '"><iframe srcdoc="<script>parent.pwned=5</script>">',
    "</script><script>window.pwned=6</script>",
    "{{ 7 * 7 }} ${window.pwned=7}",
]
ALL = " ".join(BAD)
NAME = "<img src=x onerror=window.pwned=8>"
MARKS = """[window.pwned ?? null,
  document.querySelectorAll("img[src='x'], iframe, svg, a[href^='javascript'], [onerror], [onload]").length,
  document.querySelectorAll("script:not([src]):not([type='application/json'])").length]"""


def fill(place) -> None:
    store = place.store
    if any(one.id == "bad" for one in store.prompts()):
        return
    store.add_prompts([Prompt("bad", (Message("system", (Text(ALL),)), Message("user", (Text(ALL),))))])
    store.add_completions([Completion(f"bad-{n}", "bad", f"{n} **bold** {ALL}", f"{NAME}{n}") for n in range(3)])


def project(place, form: str, markdown: bool) -> str:
    settings = {
        "title": f"{form} {ALL}"[:200],
        "question": ALL,
        "instructions": ALL,
        "forms": [form],
        "policies": [f"{NAME}{n}" for n in range(3)],
        "markdown": markdown,
        "criteria": [{"name": "truth", "label": ALL}],
        "overlap": 9,
    }
    return place.project(**settings)


def test_nothing_that_was_written_runs(enter):
    person = enter(role="owner", name=f"{NAME}'\"")
    place, page = person.place, person.page
    fill(place)
    headers = {"x-harken": "1", "origin": place.address}
    own = {"skip": "<", "first": NAME, "zoom": "</script>"}
    told = person.context.request.patch(f"{place.address}/api/v1/me", data={"shortcuts": own}, headers=headers)
    assert told.ok
    seen = []

    def look(where: str) -> None:
        page.wait_for_timeout(150)
        seen.append((where, page.evaluate(MARKS)))

    for form in ("comparison", "ranking", "rating", "edit"):
        for markdown in (False, True):
            slug = project(place, form, markdown)
            person.open(slug)
            look(f"{form} {markdown}")
            if markdown and form != "edit":
                assert page.locator(".formatted strong").first.inner_text() == "bold"
            page.locator("summary", has_text="Comment").click()
            page.locator("#comment").fill(ALL)
            if form == "edit":
                page.locator("#revision").fill(ALL)
                look("diff")
            press = {"comparison": "Equally good", "ranking": "Put at place", "rating": "", "edit": "Send"}[form]
            if form == "rating":
                page.locator(".scale label").first.click()
            else:
                page.get_by_role("button", name=press).first.click()
            if form == "ranking":
                page.get_by_role("button", name="Put at place").first.click()
                page.get_by_role("button", name="Send").click()
            person.all_sent()
            page.keyboard.press("Escape")  # out of the text box of an edit
            page.keyboard.press("u")
            page.locator("#past li").first.wait_for()
            look(f"past of {form}")
            page.keyboard.press("Escape")
            page.keyboard.press("?")
            look("keys")
            page.goto(f"{place.address}/projects/{slug}")
            look("project")
            page.locator("tbody a").first.click()
            look("item")
    for path in ("/", "/dashboard", "/make", "/people", "/enter?next=javascript:window.pwned=9"):
        if path.startswith("/enter"):
            person.context.clear_cookies()
        page.goto(place.address + path)
        look(path)
    assert [one for one in seen if one[1] != [None, 0, 0]] == []
    assert len(seen) > 40
