"""A real studio in a process of its own, a real Chromium, and somebody in front of it."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.studio.server import Server, start

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.feedback.store import FeedbackStore
from harken.studio.accounts import Accounts
from harken.studio.api.deps import cookie_of
from harken.studio.config import StudioConfig
from harken.types import Answer, Audio, Completion, Image, Message, Prompt, Text

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("HARKEN_CHROMIUM", "/usr/bin/chromium")
ROOT = Path(__file__).parents[2]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH = """
window.violations = [];
const note = (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
document.addEventListener("securitypolicyviolation", note);
"""
PATIENCE = 30.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


def picture(n: int, width: int = 640, height: int = 400) -> bytes:
    """A picture that takes some room."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = np.sin(rows / (9 + n)) + np.cos(columns / (7 + n))
    colours = np.stack([waves * 60 + 128, waves * (20 + 9 * n % 60) + 90, columns * 255 / width], axis=-1)
    return encode_png(np.clip(colours, 0, 255).astype(np.uint8))


def sound(n: int, seconds: float = 4.0) -> bytes:
    """A tone that swells."""
    at = np.arange(int(seconds * 16_000)) / 16_000
    return encode_wav((np.sin(at * (900 + 90 * n)) * np.sin(at * 2) ** 2 * 0.8).astype(np.float32), 16_000)


def fill(folder: Path, prompts: int = 24) -> None:
    """Prompts with a picture and two sounds, three completions each, of two policies."""
    blobs = Blobs(folder / "blobs")
    with FeedbackStore(folder / "feedback.db") as store:
        for n in range(prompts):
            image = Image(blobs.put(picture(n), "image"))
            heard = [Audio(blobs.put(sound(n + 100 * k), "audio")) for k in range(2)]
            store.add_prompts([Prompt(f"p{n}", (Message("user", (image, *heard, Text(f"What is number {n}?"))),))])
            made = [Completion(f"p{n}-{k}", f"p{n}", f"It is {n}, says {k}.", f"policy-{k % 2}") for k in range(3)]
            store.add_completions(made)


class Place:
    """A studio at work, seen from its owner's side.

    Attributes:
        folder: where it keeps things.
        server: its process.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        fill(folder)
        self.server: Server = start(str(self.database), folder)
        self.store = FeedbackStore(self.database)
        self.accounts = Accounts(self.store.engine)
        owner = self.accounts.named("owner")
        self._token = self.accounts.issue(owner, "token", "tests", ["answer", "read", "write", "admin"])

    @property
    def database(self) -> Path:
        return self.folder / "feedback.db"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """By the API, as the owner's program."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.address}/api/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(asked, timeout=PATIENCE) as told:
            return json.load(told)

    def project(self, **settings: Any) -> str:
        """A new project; its slug."""
        told = {"title": "Which?", "policies": ["policy-0", "policy-1"], **settings}
        return str(self.ask("POST", "/projects", {"settings": told})["slug"])

    def kill(self) -> None:
        self.server.kill()

    def start_again(self) -> None:
        """On the same port, as a team would."""
        self.server = start(str(self.database), self.folder, self.server.port)

    def close(self) -> None:
        self.store.close()
        if self.server.process.poll() is None:
            self.server.stop()


class Person:
    """Somebody with a browser of their own (a context), and one page open.

    Attributes:
        place: the studio.
        name: theirs.
        page: Playwright's page.
    """

    def __init__(self, place: Place, browser: Any, name: str, role: str = "annotator", **options: Any):
        self.place, self.name = place, name
        self.errors: list[str] = []
        there = {user.name for user in place.accounts.all()}
        user = place.accounts.named(name) if name in there else place.accounts.add(name, role)
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
        self.context.set_default_timeout(PATIENCE * 1000)
        self.context.add_init_script(WATCH)
        self.enter(user)
        self.page = self.new_page()

    def enter(self, user: Any = None) -> None:
        """With a session, as after an invitation; entering itself is throttled."""
        shown = self.place.accounts.issue(user or self.place.accounts.named(self.name), "session", "browser")
        name = cookie_of(StudioConfig(self.place.folder, port=self.place.server.port))
        cookie = {"name": name, "value": shown, "domain": "127.0.0.1", "path": "/", "httpOnly": True}
        self.context.add_cookies([{**cookie, "sameSite": "Strict"}])

    def new_page(self) -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._note)
        return page

    def _note(self, told: Any) -> None:
        if told.type == "error" and "Content Security Policy" in told.text:
            self.errors.append(told.text)

    def open(self, slug: str) -> Any:
        """The page where they answer."""
        self.page.goto(f"{self.place.address}/p/{slug}")
        self.page.wait_for_selector("#question, #empty")
        return self.page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def go_through(self, count: int, key: str) -> None:
        """Answer so many with one key, each when it is there."""
        for _ in range(count):
            self.page.wait_for_selector("#question")
            self.press(key)

    def shown(self) -> list[str]:
        """The ids of the completions that are shown, by their words."""
        known = {one.text: one.id for one in self.place.store.completions()}
        return [known[text] for text in self.page.locator("#task .card .text").all_text_contents()]

    def kept(self, count: int, amended: bool = False) -> list[Answer]:
        """What the store holds of them, when it is so much; in the order that it came."""
        until = time.monotonic() + PATIENCE
        while True:
            found = self.place.store.answers(annotator=self.name, amended=amended)
            if len(found) >= count or time.monotonic() > until:
                assert len(found) == count, f"{len(found)} answers are kept, not {count}"
                return found
            self.page.wait_for_timeout(50)

    def all_sent(self) -> None:
        """Wait until nothing waits."""
        self.page.wait_for_selector("#waiting[hidden]", state="attached")

    def waiting(self, count: int) -> None:
        """Wait until the badge says that so many wait."""
        sync_api.expect(self.page.locator("#waiting")).to_have_text(
            f"{count} waiting to be sent", timeout=1000 * PATIENCE
        )

    def close(self) -> None:
        """Nothing went wrong on any page."""
        for page in self.context.pages:
            if page.url.startswith("http"):
                with suppress(sync_api.Error):
                    self.errors += page.evaluate("window.violations ?? []")
        self.context.close()
        assert self.errors == []


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """Playwright; one a process, as its loop goes on."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium, or say where it is in HARKEN_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(driver: Any) -> Iterator[Any]:
    launched = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield launched
    launched.close()


@pytest.fixture(scope="session")
def place(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One studio for all tests; each has its own project and its own person."""
    at_work = Place(tmp_path_factory.mktemp("studio-at-work") / "studio")
    yield at_work
    at_work.close()


@pytest.fixture
def own_place(browser: Any, tmp_path: Path) -> Iterator[Place]:
    """A studio for one test, which may kill it."""
    at_work = Place(tmp_path / "studio")
    yield at_work
    at_work.close()


Enter = Callable[..., Person]


@pytest.fixture
def enter(browser: Any, place: Place, request: pytest.FixtureRequest) -> Iterator[Enter]:
    """Somebody enters: `enter()`, or `enter(role="owner", at=place, locale="zh-CN")`."""
    here: list[Person] = []

    def make(role: str = "annotator", at: Place | None = None, name: str = "", **options: Any) -> Person:
        own = name or f"{request.node.name[:40]}-{len(here)}"
        here.append(Person(at or place, browser, own, role, **options))
        return here[-1]

    yield make
    for person in here:
        person.close()


@pytest.fixture
def person(enter: Enter) -> Person:
    return enter()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script: from .venv/axe where `make tools` put it, else from the npm registry."""
    path = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("there is no npm to get axe-core with")
        folder = tmp_path_factory.mktemp("axe")
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), "axe-core@4"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        except (subprocess.SubprocessError, OSError) as failed:
            pytest.skip(f"the npm registry did not give axe-core: {failed}")
        path = folder / "node_modules" / "axe-core" / "axe.min.js"
    return path.read_text(encoding="utf-8")


Serious = Callable[[Any], list[tuple[str, list[str]]]]


@pytest.fixture(scope="session")
def serious(axe: str) -> Serious:
    """What axe-core finds on a page that is serious: rules, with the first elements that break them."""

    def look(page: Any) -> list[tuple[str, list[str]]]:
        page.evaluate(axe)
        told = page.evaluate("axe.run({ resultTypes: ['violations'] })")
        bad = [one for one in told["violations"] if one["impact"] in ("serious", "critical")]
        return [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in bad]

    return look
