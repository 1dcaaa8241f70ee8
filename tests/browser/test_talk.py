"""The chat page in a real browser: words, a picture, a recording, two answers, a choice by one key."""

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).parents[1] / "feedback" / "annotators"))

from fake_judge import FakeJudge, judging

from harken.data.media.image import encode_png
from harken.serve.server import address_of, listen
from harken.serve.settings import ServeConfig
from harken.studio.app import make_app
from harken.studio.config import StudioConfig
from harken.studio.state import open_studio
from harken.types import Audio, Comparison, Image, Numbers, Rating, Text

CHROMIUM = shutil.which("chromium")
ARGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)"),
]


@pytest.fixture
def talking(tmp_path, driver, request) -> Iterator[tuple[Page, FakeJudge, object]]:
    """The page (with a test's own options), a model, and the store's studio; nothing may be said on the console."""
    with judging(lambda body: f"{len(body['messages'])} turns") as model, listen(ServeConfig(port=0)) as listening:
        address = address_of(listening)
        port = int(address.rsplit(":", 1)[1])
        studio = open_studio(StudioConfig(tmp_path / "studio", port=port))
        app = make_app(studio)
        app.state.endpoints._all = type(app.state.endpoints)([model.url])._all
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        invite = studio.accounts.issue(studio.accounts.add("olga", "owner"), "invite", "test")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page, said = browser.new_page(**getattr(request, "param", {})), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{address}/enter#{invite}")
        page.wait_for_url(f"{address}/")
        # The server lists its model by GET, which this one does not do.
        page.route("**/api/v1/chat/models", lambda route: route.fulfill(json={"models": [MODEL]}))
        page.goto(f"{address}/chat")
        yield page, model, studio
        browser.close()
        server.should_exit = True
        thread.join(30)
        assert said == []


MODEL = {"endpoint": 0, "model": "m", "takes": ["text", "image", "audio"]}


def test_a_conversation_with_a_picture_a_recording_and_a_choice_by_one_key(talking, tmp_path):
    page, _, studio = talking
    (tmp_path / "digit.png").write_bytes(encode_png(np.full((24, 24, 3), 99, np.uint8)))
    expect(page.locator("#send")).to_be_enabled()
    page.set_input_files("#picture", tmp_path / "digit.png")
    expect(page.locator("#attached li")).to_have_count(1)
    page.fill("#message", "Which number is it?")
    page.press("#message", "Enter")
    expect(page.locator(".card .text")).to_have_text("1 turns")
    expect(page.locator(".mine img")).to_have_count(1)
    expect(page.locator("#message")).to_have_value("")
    page.get_by_role("button", name="A bad answer").click()
    page.get_by_role("button", name="A good answer").click()
    page.check("#two")
    page.click("#record")
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(1000)
    page.click("#record")
    expect(page.locator("#attached audio")).to_have_count(1)
    page.fill("#message", "And now?")
    page.press("#message", "Enter")
    expect(page.locator(".card.chosen")).to_have_count(0)
    expect(page.get_by_role("button", name="B is better")).to_be_visible()
    page.keyboard.press("2")
    expect(page.locator(".card.chosen h2")).to_have_text("B: m")
    ratings, (choice,) = studio.store.answers("rating", amended=True), studio.store.answers("comparison")
    assert [(r.feedback.score, r.feedback.criterion) for r in ratings] == [(1, "thumbs"), (2, "thumbs")]
    assert isinstance(ratings[0].feedback, Rating)
    assert isinstance(choice.feedback, Comparison)
    assert choice.feedback.choice == "b"
    first, last = (prompt.messages for prompt in studio.store.prompts())
    assert [type(part) for part in first[0].parts] == [Image, Text]
    assert [type(part) for part in last[-1].parts] == [Audio, Text]
    assert last[1].parts == (Text("1 turns"),)


def test_what_was_said_stays_in_the_box_when_the_model_is_away(talking):
    page, model, studio = talking
    model.busy = 1
    page.fill("#message", "Hello?")
    page.press("#message", "Enter")
    expect(page.locator("#errors")).to_contain_text("model server 1 refuses (503)")
    expect(page.locator("#message")).to_have_value("Hello?")
    assert studio.store.prompts() == []
    page.press("#message", "Enter")
    expect(page.locator(".card .text")).to_have_text("1 turns")
    expect(page.locator("#errors")).to_be_empty()


def ask(page: Page, words: str, two: bool) -> None:
    page.set_checked("#two", two)
    page.fill("#message", words)
    page.press("#message", "Enter")
    expect(page.locator(".mine").last).to_have_text(words)
    expect(page.locator("#send")).to_be_visible()


def test_a_conversation_is_here_after_a_reload_and_goes_on(talking):
    page, _, studio = talking
    expect(page.locator("#send")).to_be_enabled()
    ask(page, "First", two=False)
    page.get_by_role("button", name="A bad answer").click()
    expect(page.get_by_role("button", name="A bad answer")).to_have_attribute("aria-pressed", "true")
    ask(page, "Second", two=True)
    page.keyboard.press("2")
    expect(page.locator(".card.chosen h2")).to_have_text("B: m")
    page.fill("#message", "Half a thought")
    page.reload()
    expect(page.locator(".mine")).to_have_text(["First", "Second"])
    expect(page.locator(".card .text")).to_have_text(["1 turns", "3 turns", "3 turns"])
    expect(page.locator(".card.chosen h2")).to_have_text("B: m")
    expect(page.get_by_role("button", name="A bad answer").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#message")).to_have_value("Half a thought")
    # What was said of it can still be changed, and the conversation goes on from there.
    page.get_by_role("button", name="A good answer").first.click()
    expect(page.get_by_role("button", name="A good answer").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#send")).to_be_enabled()
    ask(page, "Third", two=False)
    expect(page.locator(".card .text").last).to_have_text("5 turns")
    page.get_by_role("button", name="New conversation").click()
    page.reload()
    expect(page.locator("#send")).to_be_enabled()
    expect(page.locator(".mine")).to_have_count(0)
    [choice] = studio.store.answers("comparison")
    assert studio.store.answers("rating", amended=True)[-1].feedback.score == 2
    assert studio.prompt(choice.feedback.prompt_id).messages[-1].parts == (Text("Second"),)


def test_nobody_sees_the_conversation_of_another_in_the_same_window(talking):
    page, _, studio = talking
    expect(page.locator("#send")).to_be_enabled()
    ask(page, "Between us", two=False)
    address = page.url.removesuffix("/chat")
    invite = studio.accounts.issue(studio.accounts.add("ann", "annotator"), "invite", "test")
    page.context.clear_cookies()
    page.goto(f"{address}/enter#{invite}")
    page.wait_for_url(f"{address}/")
    page.goto(f"{address}/chat")
    expect(page.locator("#send")).to_be_enabled()
    expect(page.locator(".mine")).to_have_count(0)


def test_numbers_are_attached_and_drawn(talking, tmp_path):
    page, _, studio = talking
    (tmp_path / "blood.csv").write_text("Na,K\n140,4.1\n141,4.5\n")
    expect(page.locator("#send")).to_be_enabled()
    page.set_input_files("#table", tmp_path / "blood.csv")
    expect(page.locator("#attached li")).to_contain_text("blood.csv: steps: 2, channels: 2")
    page.fill("#message", "Is it high?")
    page.press("#message", "Enter")
    expect(page.locator(".card .text")).to_have_text("1 turns")
    expect(page.locator(".mine polyline")).to_have_count(2)
    (prompt,) = studio.store.prompts()
    assert isinstance(prompt.messages[0].parts[0], Numbers)


def test_the_tools_stand_in_one_line(talking):
    page, _, _ = talking
    page.locator("#record").wait_for()
    boxes = page.locator(".tools > *:visible").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect())")
    assert len(boxes) == 5
    assert len({(box["top"], box["height"]) for box in boxes}) == 1


@pytest.mark.parametrize(
    "talking", [{"bypass_csp": True, "color_scheme": scheme} for scheme in ("light", "dark")], indirect=True, ids=str
)
def test_axe_finds_nothing_serious_in_a_conversation(talking, serious):
    page, _, _ = talking
    expect(page.locator("#send")).to_be_enabled()
    page.locator("#models summary").click()
    found = serious(page)
    for words, two in (("First", False), ("Second", True)):
        ask(page, words, two)
        found += serious(page)
    page.keyboard.press("1")
    expect(page.locator(".card.chosen")).to_have_count(1)
    found += serious(page)
    assert found == []
