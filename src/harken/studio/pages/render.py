"""Templates with the reader's words. What people wrote is escaped; JSON in a page cannot end its script."""

import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harken.studio.accounts import Scope, Visitor
from harken.studio.api.deps import allowed
from harken.studio.words.speak import catalogue, chosen, speak

PAGES = (
    ("/", "page.answer", "answer"),
    ("/chat", "page.chat", "answer"),
    ("/teach", "page.teach", "write"),
    ("/dashboard", "page.dashboard", "read"),
    ("/make", "page.make", "write"),
    ("/people", "page.people", "admin"),
)
"""Address, name, and the scope that it needs."""


def _json(value: Any) -> Markup:
    text = json.dumps(value, ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"), autoescape=True, undefined=StrictUndefined
)
TEMPLATES.filters["json"] = _json


def language_of(request: Request, visitor: Visitor | None) -> str:
    """The language of a page."""
    own = None if visitor is None else visitor.user.settings.get("language")
    return chosen(request.headers.get("accept-language", ""), own)


def speaker(request: Request, visitor: Visitor | None) -> Callable[..., str]:
    """Words in the language of a page."""
    return partial(speak, language_of(request, visitor))


def page(request: Request, visitor: Visitor | None, name: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    language = language_of(request, visitor)
    scopes = frozenset() if visitor is None else visitor.scopes
    html = TEMPLATES.get_template(name).render(
        language=language,
        words=catalogue(language),
        t=partial(speak, language),
        visitor=visitor,
        here=request.url.path,
        pages=[(address, label) for address, label, scope in PAGES if scope in scopes],
        **values,
    )
    headers = {"Vary": "Accept-Encoding, Accept-Language, Cookie"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        packed = gzip.compress(html.encode(), 6)
        return Response(packed, status, {**headers, "Content-Encoding": "gzip"}, "text/html; charset=utf-8")
    return HTMLResponse(html, status, headers)


def may_see(scope: Scope) -> Any:
    """A dependency: somebody who may see a page; strangers enter first and then come back, others find no such page.

    Raises:
        HTTPException: 303 to the page for entering, or 403.
    """

    async def check(request: Request) -> Visitor:
        try:
            return allowed(request, scope)
        except HTTPException as refused:
            if refused.status_code == 401:
                raise HTTPException(303, "enter first", {"Location": f"/enter?next={request.url.path}"}) from refused
            raise

    return Depends(check)


Answerer = Annotated[Visitor, may_see("answer")]
Reader = Annotated[Visitor, may_see("read")]
Writer = Annotated[Visitor, may_see("write")]
Admin = Annotated[Visitor, may_see("admin")]
