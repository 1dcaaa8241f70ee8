"""Media by address: off by default; when on, each address is checked where it is connected to, redirects too."""

import hashlib
import ipaddress
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from harken.data.media.image import encode_png
from harken.studio import outward
from harken.studio.outward import Unreachable, fetch

PICTURE = encode_png(np.full((4, 6, 3), 9, np.uint8))


@pytest.fixture
def site() -> Iterator[str]:
    """A server of pictures and of ways astray."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            leads = {"/there": "/picture.png", "/round": "/round", "/inside": f"http://127.0.0.2:{port}/picture.png"}
            if self.path in leads:
                self.send_response(302)
                self.send_header("location", leads[self.path])
                self.send_header("content-length", "0")
                self.end_headers()
                return
            body = {"/picture.png": PICTURE, "/words": b"no picture", "/big": b"x" * (3 << 20)}.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()
    thread.join()


def ask(people, url: str, kind: str = "image"):
    return people.client("olga", "owner").post("/api/v1/media/remote", json={"kind": kind, "url": url})


def test_it_is_off_unless_the_studio_was_started_so(people, site):
    told = ask(people, f"{site}/picture.png")
    assert told.status_code == 403
    assert "--remote-media" in told.json()["error"]
    assert people.client("ann").post("/api/v1/media/remote", json={"kind": "image", "url": site}).status_code == 403


def test_a_picture_is_fetched_and_kept_as_an_upload(people, site):
    people.studio.config = replace(people.studio.config, remote=True, private=True)
    for path in ("/picture.png", "/there"):
        told = ask(people, site + path)
        assert told.status_code == 201, told.text
        assert told.json()["sha256"] == hashlib.sha256(PICTURE).hexdigest()
    assert people.studio.blobs.read(told.json()["sha256"]) == PICTURE
    for path, words in (("/words", "not a picture"), ("/nothing", "404"), ("/round", "leads on more than 5 times")):
        told = ask(people, site + path)
        assert told.status_code == 422
        assert words in told.json()["error"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x.png", "http://[::1]/x", "http://169.254.169.254/", "file:///etc/x"]
)
def test_what_is_not_public_is_not_reached(people, url):
    people.studio.config = replace(people.studio.config, remote=True)
    told = ask(people, url)
    assert told.status_code == 422
    assert "not a public address" in told.json()["error"] or "no http or https" in told.json()["error"]


def test_a_redirect_is_checked_as_the_first_address_was(site, monkeypatch):
    monkeypatch.setattr(outward, "is_public", lambda number: number == ipaddress.ip_address("127.0.0.1"))
    assert fetch(f"{site}/there", 1 << 20, private=False) == PICTURE
    with pytest.raises(Unreachable, match=r"127\.0\.0\.2, which is not a public address"):
        fetch(f"{site}/inside", 1 << 20, private=False)


def test_what_is_too_big_or_too_slow_is_left(site, monkeypatch):
    with pytest.raises(Unreachable, match="more than 2 MiB"):
        fetch(f"{site}/big", 2 << 20, private=True)
    monkeypatch.setattr(outward, "LONGEST", -1.0)
    with pytest.raises(Unreachable, match="took more than"):
        fetch(f"{site}/big", 4 << 20, private=True)
