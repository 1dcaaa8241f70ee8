"""Connections to a real server: heads that are too long, too many or too slow, bodies that never end, smuggled ones."""

import json
import socket
import threading
import time
from dataclasses import replace

import pytest
import uvicorn

from harken.studio import guard, serving
from harken.studio.app import make_app
from harken.studio.serving import server_config
from harken.studio.state import open_studio

pytestmark = pytest.mark.slow

HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture
def port(studio, monkeypatch):
    monkeypatch.setattr(serving, "SECONDS", 0.5)
    monkeypatch.setattr(guard, "SECONDS", 0.5)
    studio.close()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        opened = open_studio(replace(studio.config, port=listening.getsockname()[1]))
        server = uvicorn.Server(server_config(make_app(opened), False))
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        yield opened.config.port
        server.should_exit = True
        thread.join()


def talk(port: int, *sent: bytes, pause: float = 0.0) -> bytes:
    """All that comes back until the server hangs up."""
    told = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        try:
            for piece in sent:
                wire.sendall(piece)
                time.sleep(pause)
            while piece := wire.recv(65536):
                told += piece
        except ConnectionError:
            pass  # it hung up while it was still being sent to
    return told


@pytest.mark.parametrize("database", [""])
def test_who_sends_too_much_or_too_slowly_before_saying_what_they_want_is_hung_up_on(port):
    get = b"GET /enter HTTP/1.1\r\n" + HOST
    assert talk(port, get + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert talk(port, get + b"a: b\r\n" * 200 + b"\r\n").startswith(b"HTTP/1.1 400")
    assert talk(port, get + b"a: " + b"x" * 70_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert not talk(port, get + b"a: ", *[b"x" * 50_000] * 100).startswith(b"HTTP/1.1 2")
    assert not talk(port, b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n").startswith(b"HTTP/1.1 2")
    for slow in ([b""], [b"GET"], [get], [b"\r\n"], *[[get + b"\r\n", b"GET /"]]):
        begun = time.monotonic()
        told = talk(port, *slow)
        assert time.monotonic() - begun < 6
        assert told.count(b"HTTP/1.1 ") == (len(slow) == 2)


@pytest.mark.parametrize("database", [""])
def test_a_body_that_never_ends_is_not_waited_for(port):
    head = b"POST /api/v1/session HTTP/1.1\r\nx-harken: 1\r\nContent-Type: application/json\r\n" + HOST
    told = talk(port, head + b"Content-Length: 100\r\n\r\n{")
    assert told.startswith(b"HTTP/1.1 408")
    assert "error" in json.loads(told.split(b"\r\n\r\n", 1)[1])


@pytest.mark.parametrize("database", [""])
@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Host: evil.example\r\nContent-Length: 0\r\n",
        b"X-A: b\rContent-Length: 0\r\n",
    ],
)
def test_what_two_servers_could_read_differently_is_refused(port, lines):
    smuggled = b"GET /enter HTTP/1.1\r\n" + HOST + b"\r\n"
    told = talk(port, b"POST /api/v1/session HTTP/1.1\r\nx-harken: 1\r\n" + HOST + lines + b"\r\n0\r\n\r\n" + smuggled)
    assert told.startswith(b"HTTP/1.1 400"), told[:200]
    assert told.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("database", [""])
def test_no_websocket_is_opened(port):
    asked = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n"
    told = talk(port, asked + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + HOST + b"\r\n")
    assert not told.startswith(b"HTTP/1.1 101")
