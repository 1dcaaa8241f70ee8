"""A studio with a few prompts, media in them, and people with every role."""

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.studio.postgres import Cluster
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parents[1] / "feedback"))

from postgres import own_cluster

from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.studio.app import make_app
from harken.studio.config import StudioConfig
from harken.studio.state import Studio, open_studio
from harken.types import Audio, Completion, Image, Message, Prompt, Text

BASE = "http://127.0.0.1:8400"


def fill(studio: Studio, prompts: int = 12) -> None:
    """Prompts with a picture and a sound each, and three completions of two policies."""
    for n in range(prompts):
        picture = studio.blobs.put(encode_png(np.full((20, 30, 3), n * 9 % 255, np.uint8)), "image")
        sound = studio.blobs.put(encode_wav(np.sin(np.arange(1600) * (n + 1) / 50).astype(np.float32), 16_000), "audio")
        parts = (Image(picture), Audio(sound), Text(f"What is number {n}?"))
        studio.store.add_prompts([Prompt(f"p{n}", (Message("user", parts),))])
        made = [Completion(f"p{n}-{k}", f"p{n}", f"It is {n}, says {k}.", f"policy-{k % 2}") for k in range(3)]
        studio.store.add_completions(made)


class People:
    """Clients of everybody."""

    def __init__(self, studio: Studio):
        self.studio = studio
        self.app = make_app(studio)
        self._clients: dict[str, TestClient] = {}

    def client(self, name: str, role: str = "annotator") -> TestClient:
        """Somebody in their browser, entered."""
        if name not in self._clients:
            there = {user.name for user in self.studio.accounts.all()}
            user = self.studio.accounts.named(name) if name in there else self.studio.accounts.add(name, role)
            client = TestClient(self.app, base_url=BASE, headers={"x-harken": "1"})
            invite = self.studio.accounts.issue(user, "invite", "test")
            assert client.post("/api/v1/session", json={"invite": invite}).status_code == 200
            self._clients[name] = client
        return self._clients[name]

    def stranger(self) -> TestClient:
        """Somebody who has not entered."""
        return TestClient(self.app, base_url=BASE, headers={"x-harken": "1"})


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A server for all tests that want one."""
    with own_cluster() as found:
        yield found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> str:
    """What a studio is opened on: an SQLite file in its folder (empty), or a new database of a real server."""
    if request.param == "sqlite":
        return ""
    return str(request.getfixturevalue("postgresql").new(f"base_{secrets.token_hex(6)}"))


@pytest.fixture
def studio(tmp_path: Path, database: str) -> Iterator[Studio]:
    opened = open_studio(StudioConfig(tmp_path / "studio", database))
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture
def people(studio: Studio) -> People:
    return People(studio)


@pytest.fixture
def filling():
    """Fills another studio as `studio` is."""
    return fill
