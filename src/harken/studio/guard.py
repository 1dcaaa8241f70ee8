"""What every request passes: the host's name, the origin, the size of its body; and what every response says."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from harken.studio.config import StudioConfig

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
MOST_MEDIA = 64 << 20
MEDIA = "/api/v1/media"
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
        most = MOST_MEDIA if scope["path"] == MEDIA else MOST
        if int(headers.get(b"content-length") or 0) > most:
            await _refuse(send, 413, f"the body has more than {most} bytes")
            return
        await self._app(scope, _bounded(receive, most), _dressed(send))

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._config.allows(host):
            return 421, f"this studio does not go by the name {host[:100]!r}; start it with --name to allow it"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return 400, "content-length is no number"
        if scope["method"] in SAFE or b"authorization" in headers:
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


def _bounded(receive: Receive, most: int) -> Receive:
    """A body without a length is counted as it comes."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, f"the body has more than {most} bytes")
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
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
