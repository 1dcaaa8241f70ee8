"""How the studio listens: what a connection may send before it says what it wants, and how long that may take."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD = 64 << 10
"""Bytes of a request's first line and headers, at most; httptools itself knows no end."""
LINES = 100
"""Headers of a request, at most."""
SECONDS = 20.0
"""From the first byte of a connection, or of a request on it, to the end of its headers."""
CONNECTIONS = 1000
ENDING = 10
"""Seconds that requests have to finish after Ctrl-C."""


def server_config(app: Any, behind: bool) -> uvicorn.Config:
    """Settings of the server.

    Args:
        app: what is served.
        behind: whether it is behind a proxy. Only then is it believed who says for whom it asks
            (`X-Forwarded-For`), and only from an address that `FORWARDED_ALLOW_IPS` names (127.0.0.1 where it is not
            set); else anybody on this machine could have a name of their own for each try at a password.
    """
    return uvicorn.Config(
        app,
        http=Bounded,
        ws="none",
        proxy_headers=behind,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=ENDING,
    )


class TooMuchError(ValueError):
    """The first line and the headers are too long or too many; the parser's caller answers 400 and hangs up."""


class Bounded(HttpToolsProtocol):
    """A connection that ends when its headers are too long, too many, or too slow."""

    _head = 0
    _lines = 0
    _reading = True
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Somebody came, and now has so long to say what they want."""
        super().connection_made(transport)
        self._late = self.loop.call_later(SECONDS, self._end)

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody went."""
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some of a request, or all of it."""
        if self.parser is None or self.transport.is_closing():
            return
        before = self._reading
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        if not (self._reading or idle) or self.transport.is_closing():
            return
        self._head += len(data) if before else 0
        if self._head > HEAD:
            self.send_400_response("The headers are too long.")
        elif self._late is None:
            self._late = self.loop.call_later(SECONDS, self._end)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head, self._lines, self._reading = 0, 0, True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is whole."""
        self._lines += 1
        if self._lines > LINES:
            raise TooMuchError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """What is wanted is known."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD:
            raise TooMuchError
        self._reading = False
        self._in_time()
        super().on_headers_complete()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.close()
