"""How pages look: wide, on a phone, light, dark, in two languages, to those who cannot see them; kept as pictures."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "runs" / "screenshots"
PAGES = ["/", "/dashboard", "/make", "/people", "/chat", "/teach"]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE = {"viewport": {"width": 1200, "height": 800}}
NAMES = {"/": "home", "/nowhere": "missing"}
FORMS = ["comparison", "ranking", "rating", "edit"]
TWO = [{"name": "truth", "label": "Is it true?"}, {"name": "manner", "label": "Is it said well?", "levels": 7}]
LEARNING = {"name": "rounds/1/aligned", "state": "running", "done": 2, "total": 9, "seconds": None}
LEARNT = {"name": "sft", "state": "done", "done": 1, "total": 1, "seconds": 3.5}
WHOLE = {"reward_before": 0.1, "reward_after": 0.72, "exactness_before": 0.5, "exactness_after": 0.9, "prompts": 40}
RUNS = [
    {
        "name": state,
        "state": state,
        "doing": doing,
        "stages": stages,
        "words": ["rounds/1/aligned: 2/9 kl=0.01 reward=0.3", "A line that is long " * 20],
        "answers": answers,
        "figures": [{"stage": "rounds/1/aligned", "name": "reward", "steps": 3, "first": 0.1, "last": 0.4}],
        "evaluation": evaluation,
        "scored": bool(answers),
        "compared": False,
        "questions": [{"slug": "on-1", "title": "Which?", "items": 20, "left": 7}] if answers else [],
        "comparisons": [{"slug": "on-blind-1", "title": "Blind", "items": 20, "left": 7}] if evaluation else [],
    }
    for state, doing, stages, answers, evaluation in (
        ("going", "train", [LEARNT, LEARNING], 12, {}),
        ("waiting", "begin", [LEARNT, {**LEARNT, "name": "rounds/1/completions"}], 0, {}),
        ("trained", "train", [LEARNT], 12, WHOLE),
        ("stopped", "train", [LEARNT, LEARNING], 12, {}),
        ("failed", "begin", [LEARNING], 0, {}),
    )
]
"""One run in each state, as `GET /api/v1/teach` tells of them."""
OVER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def projects(place) -> dict[str, str]:
    """One of each form, with everything that can be asked."""
    given = {"criteria": TWO, "strength": True, "instructions": "Look, listen, and then choose.", "overlap": 50}
    return {form: place.project(title=f"About {form}", forms=[form], **given) for form in FORMS}


def half(person, form: str) -> None:
    """In the middle of an answer."""
    person.press(*{"comparison": "1", "ranking": "21", "rating": "4", "edit": "!"}[form])


def every(person, projects: dict[str, str]):
    """One page after another: its name, when it is to be looked at."""
    page, base = person.page, person.place.address
    item = person.place.ask("GET", f"/projects/{projects['comparison']}/items")["items"][0]["id"]
    for path in [*PAGES, f"/projects/{projects['comparison']}", f"/items/{item}", "/nowhere"]:
        page.goto(base + path)
        page.wait_for_load_state("networkidle")
        yield NAMES.get(path) or path.strip("/").split("/")[0]
    page.route("**/api/v1/teach", lambda route: route.fulfill(json={"runs": RUNS, "going": "on", "sizes": []}))
    page.goto(f"{base}/teach")
    page.locator(".panel[aria-label=failed]").wait_for()
    page.unroute("**/api/v1/teach")
    yield "teach-runs"
    for form, slug in projects.items():
        person.open(slug)
        page.wait_for_load_state("networkidle")
        yield form
        half(person, form)
        page.wait_for_timeout(100)
        yield f"{form}-half"
    person.open(projects["comparison"])
    for key, name in (("?", "keys"), ("u", "past"), ("z", "zoom")):
        person.press(key)
        page.wait_for_timeout(200)
        yield name
        person.press("Escape")
    person.context.clear_cookies()
    page.goto(base + "/enter")
    yield "enter"


@pytest.mark.parametrize(
    ("size", "locale"),
    [
        pytest.param(WIDE, "en-GB", id="1200-en-GB"),
        pytest.param(PHONE, "zh-CN", id="390-zh-CN"),
        pytest.param(WIDE, "zh-CN", id="1200-zh-CN", marks=pytest.mark.soak),
        pytest.param(PHONE, "en-GB", id="390-en-GB", marks=pytest.mark.soak),
    ],
)
def test_every_page_is_looked_at_and_none_is_too_wide(enter, projects, size, locale):
    person = enter(
        role="owner", name=f"Anna {size['viewport']['width']} {locale}", locale=locale, color_scheme="light", **size
    )
    person.open(projects["comparison"])
    person.press("3", "1", "2")
    person.kept(2)
    SHOTS.mkdir(parents=True, exist_ok=True)
    wide = {}
    for name in every(person, projects):
        path = SHOTS / f"{name}-{size['viewport']['width']}-{locale[:2]}.png"
        person.page.screenshot(path=str(path), full_page=name not in ("keys", "past", "zoom"))
        if over := person.page.evaluate(OVER):
            wide[name] = over
    assert wide == {}
    assert len(list(SHOTS.glob(f"*-{size['viewport']['width']}-{locale[:2]}.png"))) >= 22


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(enter, projects, serious, scheme):
    # The script of axe-core comes from outside, which the pages' policy forbids.
    person = enter(role="owner", name=f"Anna {scheme}", color_scheme=scheme, bypass_csp=True)
    person.open(projects["comparison"])
    person.press("3", "1", "2")
    person.kept(2)
    found = []
    for name in every(person, projects):
        found += [(name, *one) for one in serious(person.page)]
    assert found == [], "\n".join(map(str, found))


def test_panels_have_the_same_room_on_all_sides_and_between_them(enter, projects):
    person = enter()
    page = person.open(projects["comparison"])
    [above, below] = page.locator("details.panel[open]").evaluate(
        "(one) => { const all = getComputedStyle(one); return [all.paddingLeft, all.paddingBottom]; }"
    )
    assert above == below
    page.goto(person.place.address)
    boxes = page.locator(".list > .panel").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect())")
    assert {round(low["top"] - high["bottom"]) for high, low in pairwise(boxes)} == {16}


def test_chinese_by_the_browsers_wish_and_by_the_button(enter, projects):
    person = enter(locale="zh-CN")
    page = person.open(projects["comparison"])
    assert page.locator("html").get_attribute("lang") == "zh"
    assert page.locator("#question").inner_text() == "哪个回答更好？"
    with page.expect_navigation():
        page.get_by_role("button", name="English").click()
    page.wait_for_selector("#question")
    assert page.locator("#question").inner_text() == "Which answer is better?"
    # One's own choice goes before the browser's wish, on every page.
    page.goto(person.place.address)
    assert page.locator("h1").inner_text() == "Projects"
    with page.expect_navigation():
        page.get_by_role("button", name="中文").click()
    assert page.locator("h1").inner_text() == "项目"


def test_entering_by_an_invitation_leaves_no_trace_of_it(browser, place):
    owner = place.ask("POST", "/users", {"name": "invited guest"})
    context = browser.new_context()
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{place.address}/enter#{owner['invite']}")
    page.wait_for_url(f"{place.address}/")
    assert "invited guest" in page.locator("#leave").inner_text()
    assert not any(owner["invite"] in url for url in asked)
    page.go_back()
    assert owner["invite"] not in page.url
    page.goto(f"{place.address}/enter#{owner['invite']}")
    page.locator("#errors:not(:empty)").wait_for()
    assert "was used" in page.locator("#errors").inner_text()
    page.goto(f"{place.address}/")
    page.locator("#leave").click()
    page.wait_for_url("**/enter")
    assert not [one for one in context.cookies() if one["name"].startswith("harken_")]
    context.close()


def test_people_are_invited_get_another_role_are_removed_and_come_back(enter):
    person = enter(role="owner")
    page, name = person.page, "Zoë O'Neill"
    page.goto(f"{person.place.address}/people")

    def invite() -> None:
        page.locator("#name").fill(name)
        page.get_by_role("button", name="Make an invitation").click()

    invite()
    page.locator("#link:not([hidden])").wait_for()
    link = page.locator("#invite")
    assert link.input_value().startswith(f"{person.place.address}/enter#")
    assert link.evaluate("box => [box.scrollWidth - box.clientWidth, box.scrollHeight - box.clientHeight]") == [0, 0]
    page.locator("#link").get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    row = page.get_by_role("row").filter(has_text=name)
    # What is refused is said, and not any more once something else has gone well.
    invite()
    expect(page.locator("#errors")).to_contain_text("already")
    row.get_by_role("combobox").select_option("reviewer")
    expect(page.locator("#notes")).to_have_text(f"{name} is now reviewer.")
    expect(page.locator("#errors")).to_be_empty()
    assert person.place.accounts.named(name).role == "reviewer"
    remove = page.locator(f'[data-remove="{name}"]')
    remove.click()
    page.get_by_role("button", name="Cancel").click()
    assert person.place.accounts.named(name).role == "reviewer"
    remove.click()
    assert name in page.get_by_role("dialog").inner_text()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    remove.wait_for(state="detached")
    invite()
    expect(page.locator("#back")).to_contain_text("is back")
    remove.wait_for()


def test_the_role_of_the_last_owner_stays(own_place, enter):
    person = enter("owner", own_place, "owner")
    person.page.goto(f"{own_place.address}/people")
    role = person.page.locator('[data-role="owner"]')
    role.select_option("annotator")
    expect(person.page.locator("#errors")).to_contain_text("only owner")
    expect(role).to_have_value("owner")


def test_a_token_is_shown_once_in_words_of_its_own(enter):
    person = enter(role="owner")
    page = person.page
    page.goto(f"{person.place.address}/people")
    page.get_by_label("What it is for").fill("nightly export")
    page.get_by_role("button", name="Make a token").click()
    page.locator("#link:not([hidden])").wait_for()
    assert page.locator("#invite").input_value().startswith("hk_t_")
    assert "For the program" in page.locator("#link").inner_text()
    made = page.locator("#tokens li").filter(has_text="nightly export")
    made.get_by_role("button").click()
    made.wait_for(state="detached")
    # It is shown this once, so also where the lists cannot be read again.
    page.route("**/people", lambda route: route.abort())
    page.locator("#invite").evaluate("box => (box.value = '')")
    page.get_by_label("What it is for").fill("another export")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#invite")).to_have_value(re.compile("^hk_t_"))


def test_a_phone_shows_all_that_can_be_done_with_people(enter):
    person = enter(role="owner", **PHONE)
    person.page.goto(f"{person.place.address}/people")
    wide = person.page.locator("#people")
    assert wide.evaluate("box => box.scrollWidth - box.clientWidth") == 0
