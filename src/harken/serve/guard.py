"""Who may ask: the name that the server is called by, the page that a request comes from, the token that it bears."""

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from harken.serve.refusal import Refusal
from harken.serve.settings import ServeConfig

OPEN = "/health"
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Stands before the application.

    Args:
        app: what it lets requests through to.
        config: says whom.
    """

    def __init__(self, app: ASGIApp, config: ServeConfig):
        self.app, self.config = app, config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with what is wrong."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            refusal = self._host(headers) or self._origin(headers) or self._token(headers, scope["path"])
            if refusal is not None:
                answer = JSONResponse(refusal.body(), refusal.status, refusal.headers)
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _host(self, headers: Headers) -> Refusal | None:
        """A page of a stranger may have its own name point to this machine, and then read what it is answered."""
        if not self.config.local:
            return None  # a token is needed there, which such a page does not have
        name = _hostname(f"//{headers.get('host', '')}")
        if name in LOCAL | {self.config.host.lower()} | {host.lower() for host in self.config.allowed_hosts}:
            return None
        return Refusal(
            f"this server is not called {name!r}; ask for localhost, or serve with allowed_hosts='[\"NAME\"]'",
            code="host_not_allowed",
            status=403,
        )

    def _origin(self, headers: Headers) -> Refusal | None:
        origin = headers.get("origin")
        if origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower():
            return None
        return Refusal(
            f"pages of {origin[:200]!r} may not ask this server; have your own server ask it",
            code="origin_not_allowed",
            status=403,
        )

    def _token(self, headers: Headers, path: str) -> Refusal | None:
        if not self.config.token or path == OPEN:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        # Headers are Latin-1; compared as bytes, in a time that does not tell how much of it is right.
        same = hmac.compare_digest(token.strip().encode("latin-1"), self.config.token.encode())
        if scheme.lower() == "bearer" and same:
            return None
        return Refusal(
            "a token is needed: Authorization: Bearer TOKEN (api_key of OpenAI's client)",
            code="invalid_api_key",
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )


def _hostname(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
