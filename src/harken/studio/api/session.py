"""Entering and leaving, and what somebody wants for themselves."""

from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field

from harken.feedback.database import StoreError
from harken.studio.accounts import LASTS, User, Visitor
from harken.studio.api.answering import Body, Name
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import Answerer, TheStudio, cookie_of
from harken.studio.state import Studio

router = APIRouter(prefix="/api/v1", tags=["session"], route_class=StrictRoute)


class Enter(Body):
    """An invitation, or a name and a password."""

    invite: str = Field("", max_length=200)
    name: Name = ""
    password: str = Field("", max_length=1000)


class Wishes(Body):
    """What somebody wants for themselves; what is not given stays as it is."""

    language: str | None = Field(None, pattern="^(en|zh)$")
    shortcuts: dict[Name, Name] | None = Field(None, max_length=100)
    password: str | None = Field(None, max_length=1000)
    current_password: str = Field("", max_length=1000)


@router.post("/session")
async def enter(given: Enter, request: Request, response: Response, studio: TheStudio) -> dict[str, Any]:
    """Enter; the browser gets a cookie that no script can read."""
    user = (
        studio.accounts.redeem(given.invite)
        if given.invite
        else await _by_password(given.name, given.password, request, studio)
    )
    if user is None:
        raise HTTPException(401, "this invitation was used or is over, or the name and password do not belong together")
    shown = studio.accounts.issue(user, "session", "browser")
    lasting = int(LASTS["session"] or 0)
    response.set_cookie(
        cookie_of(studio.config),
        shown,
        max_age=lasting,
        httponly=True,
        samesite="strict",
        secure=studio.config.secure,
        path="/",
    )
    return _about(user)


async def _by_password(name: str, password: str, request: Request, studio: Studio) -> User | None:
    """Tries are counted by address and by name; an invitation is nothing that anybody could try out."""
    if not name or not password:
        return None
    throttle = request.app.state.throttle
    names = (f"from {request.client.host if request.client else ''}", f"as {name}")
    # Who is slowed down already cannot also use up another's tries.
    wait = throttle.wait(names[0]) or throttle.wait(names[1])
    if wait:
        raise HTTPException(429, "too many tries; wait a little", {"Retry-After": str(int(wait) + 1)})
    check = partial(studio.accounts.check_password, name, password)
    user: User | None = await run_sync(check, limiter=request.app.state.passwords)
    if user is not None:
        # Many may enter from one address.
        for counted in names:
            throttle.give_back(counted)
    return user


@router.delete("/session")
async def leave(response: Response, studio: TheStudio, visitor: Answerer) -> dict[str, bool]:
    """Leave; the session is over everywhere."""
    studio.accounts.revoke(visitor.digest)
    response.delete_cookie(
        cookie_of(studio.config), path="/", secure=studio.config.secure, httponly=True, samesite="strict"
    )
    return {"left": True}


@router.get("/me")
async def me(visitor: Answerer) -> dict[str, Any]:
    """Who this is."""
    return {**_about(visitor.user), "scopes": sorted(visitor.scopes)}


@router.patch("/me")
async def wish(given: Wishes, request: Request, studio: TheStudio, visitor: Answerer) -> dict[str, Any]:
    """Another language, other shortcuts; another password, which ends all other sessions."""
    if given.password is not None:
        await _may_set_password(given.current_password, request, studio, visitor)
    settings = dict(visitor.user.settings)
    if given.language is not None:
        settings["language"] = given.language
    if given.shortcuts is not None:
        settings["shortcuts"] = given.shortcuts
    change = partial(
        studio.accounts.change, visitor.user.name, password=given.password, settings=settings, here=visitor.digest
    )
    try:
        return _about(await run_sync(change, limiter=request.app.state.passwords))
    except StoreError as refused:
        raise HTTPException(422, str(refused)) from refused


async def _may_set_password(current: str, request: Request, studio: Studio, visitor: Visitor) -> None:
    """A password opens the whole account, so a token, which may be for less, sets none."""
    if visitor.kind != "session":
        raise HTTPException(403, "a token sets no password; enter with a browser, and set it there")
    if not studio.accounts.has_password(visitor.user):
        return
    if await _by_password(visitor.user.name, current, request, studio) is None:
        raise HTTPException(403, "to set another password, give the one that you have as current_password")


def _about(user: User) -> dict[str, Any]:
    return {"name": user.name, "role": user.role, "settings": user.settings}
