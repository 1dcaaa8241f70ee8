"""A real server on a free port of loopback, with a tiny model behind it, and ways to ask it."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import numpy as np
from tiny import tiny_model

from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.models.model import Model
from harken.serve.server import address_of, application, listen, server_of
from harken.serve.settings import ServeConfig

NAME = "tiny"
LONG = 20_000


def far_reading() -> Model:
    """A tiny model that has positions for answers which take longer than any test waits."""
    model = tiny_model()
    model.trunk.config.get_text_config(decoder=True).max_position_embeddings = 2 * LONG
    return model


@contextmanager
def running(model: Model, **settings: Any) -> Iterator[httpx2.Client]:
    """A client of a server that is stopped afterwards."""
    config = ServeConfig(**{"port": 0, "max_tokens": 16, **settings})
    with listen(config) as listening:
        server = server_of(application(model, NAME, config))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        headers = {"Authorization": f"Bearer {config.token}"} if config.token else {}
        with httpx2.Client(base_url=address_of(listening), headers=headers, timeout=120) as client:
            client.get("/health")  # answered once it is up
            try:
                yield client
            finally:
                server.should_exit = True
                thread.join(30)
                assert not thread.is_alive()


def request(text: str = "Which number is it?", *media: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content: Any = [*media, {"type": "text", "text": text}] if media else text
    return {"model": NAME, "messages": [{"role": "user", "content": content}], "seed": 7, **fields}


def ask(client: httpx2.Client, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == status, response.text
    return response.json()


def texts(said: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in said["choices"]]


def stream(client: httpx2.Client, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a stream, which must end as OpenAI's do."""
    with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        raw = response.read()
    *events, done, rest = raw.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


def joined(chunks: list[dict[str, Any]], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content", "") for choice in choices)


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What a condition says once it says something."""
    end = time.monotonic() + seconds
    while not (said := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return said


def picture(seed: int = 0, width: int = 16, height: int = 16) -> dict[str, Any]:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    url = "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode()
    return {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}


def sound(pitch: float = 200.0, seconds: float = 0.4) -> dict[str, Any]:
    wave = np.sin(np.arange(int(16_000 * seconds)) * pitch * 2 * np.pi / 16_000).astype(np.float32) / 2
    return {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(encode_wav(wave, 16_000)).decode(), "format": "wav"},
    }
