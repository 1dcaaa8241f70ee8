"""Bodies as JSON has them: each key once, no NaN, whole characters, not too deep."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from harken.data.record import FieldError
from harken.data.strict_json import parse

DEEPEST = 64


class StrictRequest(Request):
    """A request whose body is read strictly."""

    async def json(self) -> Any:
        """The body.

        Raises:
            HTTPException: 400 if it is not what JSON's standard has.
        """
        body = await self.body()
        try:
            found = parse(body.decode())
        except UnicodeDecodeError as error:
            raise HTTPException(400, f"byte {error.start + 1} of the body is not UTF-8") from error
        except FieldError as error:
            raise HTTPException(400, f"the body: {error}") from error
        if b"\\u" in body:
            _refuse_text(found)
        if body.count(b"[") + body.count(b"{") > DEEPEST:
            _refuse_depth(found)
        return found


class StrictRoute(APIRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What is called with each request."""
        plain = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await plain(StrictRequest(request.scope, request.receive))

        return strict


def _refuse_text(value: Any) -> None:
    """Refuse characters that not every database keeps; they come written out as \\u0000 and \\ud800 alone."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and ("\0" in one or any("\ud800" <= letter <= "\udfff" for letter in one)):
            raise HTTPException(400, "a text holds a NUL or half a character, which cannot be kept; remove it")


def _refuse_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise HTTPException(400, f"the body is nested more than {DEEPEST} deep; flatten it")
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
