"""Who asks: the session's cookie or a token, and the scope that a route needs."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Query, Request

from harken.feedback.desk.keeping import Project
from harken.studio.accounts import Scope, Visitor
from harken.studio.config import StudioConfig
from harken.studio.state import Studio


def cookie_of(config: StudioConfig) -> str:
    """The session's cookie: its own for each port, since browsers keep one jar for all ports of a host.

    Over https its prefix has browsers keep it to this host, this path, and https (RFC 6265bis, 4.1.3.2).
    """
    return "__Host-harken" if config.secure else f"harken_{config.port}"


async def studio_of(request: Request) -> Studio:
    """The studio that serves this request; asynchronous, since FastAPI sends what is not to another thread."""
    return _studio(request)


def _studio(request: Request) -> Studio:
    found = request.app.state.studio
    assert isinstance(found, Studio)
    return found


TheStudio = Annotated[Studio, Depends(studio_of)]


def visitor_of(request: Request) -> Visitor | None:
    """Who asks, if they say so."""
    studio = _studio(request)
    given = request.headers.get("authorization")
    if given is None:
        shown = request.cookies.get(cookie_of(studio.config), "")
    else:
        # The guard asks no origin of who shows a token, so the cookie does not count beside one.
        shown = given[7:] if given[:7].lower() == "bearer " else ""
    return studio.accounts.visitor(shown) if shown else None


def allowed(request: Request, scope: Scope) -> Visitor:
    """Who asks, if they may do what needs a scope.

    Raises:
        HTTPException: 401 where nobody is known, 403 where they may not.
    """
    visitor = visitor_of(request)
    if visitor is None:
        raise HTTPException(401, "enter first: a session or a token is needed")
    if scope not in visitor.scopes:
        raise HTTPException(403, f"this needs the scope {scope!r}, which {visitor.user.name!r} does not have here")
    return visitor


def needs(scope: Scope) -> Any:
    """A dependency: somebody who may do this; raises as `allowed`."""

    async def check(request: Request) -> Visitor:
        return allowed(request, scope)

    return Depends(check)


Answerer = Annotated[Visitor, needs("answer")]
Reader = Annotated[Visitor, needs("read")]
Writer = Annotated[Visitor, needs("write")]
Admin = Annotated[Visitor, needs("admin")]


def project_of(studio: Studio, slug: str) -> Project:
    """A project by its slug.

    Raises:
        HTTPException: 404 if there is none.
    """
    if slug not in studio.projects:
        raise HTTPException(404, f"there is no project {slug!r}")
    return studio.projects[slug]


Number = Annotated[int, Path(ge=0, le=2**31 - 1)]
"""A row's, in an address; PostgreSQL counts so far."""
After = Annotated[int, Query(ge=0, le=2**31 - 1)]
"""After which row a list goes on."""
