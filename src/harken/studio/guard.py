"""What every request passes: the host's name, the origin, the size of its body; and what every response says."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from harken.studio.config import StudioConfig
from harken.studio.taking import UPLOADS
from harken.types import MEDIA as MEDIA_KINDS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self)"),
]
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MOST = 1 << 20
"""Bytes of a body; more where media are uploaded."""
MOST_MEDIA = max(UPLOADS.bytes_of(modality) for modality in MEDIA_KINDS)
SECONDS, SECONDS_MEDIA = 30.0, 300.0
"""In which a body has to be there."""
MEDIA = "/api/v1/media"
ONCE = frozenset({b"host", b"origin", b"authorization", b"content-length", b"content-type"})
"""Headers of which there is one, so that nobody reads another one than was checked."""
CLOSE = {"Connection": "close"}
MARK = b"x-harken"
"""A header that a form of another site cannot send."""


class Guard:
    """Middleware around the whole application.

    Args:
        app: what is guarded.
        config: the names that it goes by.
    """

    def __init__(self, app: App, config: StudioConfig):
        self._app, self._config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        why = self._refusal(scope, headers)
        if why is not None:
            await _refuse(send, *why)
            return
        most, seconds = (MOST_MEDIA, SECONDS_MEDIA) if scope["path"] == MEDIA else (MOST, SECONDS)
        if int(headers.get(b"content-length") or 0) > most:
            await _refuse(send, 413, f"the body has more than {most >> 20} MiB")
            return
        await self._app(scope, _bounded(receive, most, seconds), _dressed(send))

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        if sum(name in ONCE for name, _ in scope["headers"]) > len(ONCE & headers.keys()):
            return 400, "the request says twice who it is for, or from"
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._config.allows(host):
            return 421, f"this studio does not go by the name {host[:100]!r}; start it with --name to allow it"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18:
            return 400, "content-length is no number"
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return 400, "the address holds a NUL, which nothing here is named by"
        # A token is shown by programs alone: no form, and no link with a name and a password in it, can send one.
        if scope["method"] in SAFE or headers.get(b"authorization", b"")[:7].lower() == b"bearer ":
            return None
        scheme = "https" if self._config.secure else "http"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin != f"{scheme}://{host}":
            return 403, "the request comes from another site"
        if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
            return 403, "the request comes from another site"
        if MARK not in headers:
            return 403, "a request that changes something needs the header x-harken: 1, or a token"
        return None


def _bounded(receive: Receive, most: int, seconds: float) -> Receive:
    """A body is counted as it comes, and has to be there in time."""
    seen, whole, until = 0, False, 0.0

    async def counted() -> Message:
        nonlocal seen, whole, until
        if whole:
            return await receive()
        until = until or asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError as late:
            raise HTTPException(408, f"the body was not there in {seconds:g} seconds", CLOSE) from late
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, f"the body has more than {most >> 20} MiB", CLOSE)
        whole = not message.get("more_body", False)
        return message

    return counted


def _dressed(send: Send) -> Send:
    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name for name, _ in message.get("headers", [])}
            extra = [header for header in HEADERS if header[0] not in there]
            if b"cache-control" not in there:
                extra.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await send(message)

    return dressed


async def _refuse(send: Send, status: int, why: str) -> None:
    body = json.dumps({"error": why}).encode()
    # Whatever else comes on this connection, such as the body, is not read.
    size = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", size), (b"connection", b"close"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
