"""Users, invitations and tokens; for owners."""

from functools import partial
from typing import Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request
from pydantic import Field

from harken.feedback.database import StoreError
from harken.studio.accounts import Role, Scope
from harken.studio.api.answering import Body, Name
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import Admin, TheStudio

router = APIRouter(prefix="/api/v1", tags=["people"], route_class=StrictRoute)


class NewUser(Body):
    """Somebody who may enter."""

    name: str = Field(min_length=1, max_length=64)
    role: Role = "annotator"
    password: str | None = Field(None, max_length=1000)


class Rights(Body):
    """Another role."""

    role: Role


class NewToken(Body):
    """A pass for a program."""

    label: Name = Field(min_length=1)
    scopes: list[Scope] = Field(min_length=1)


@router.get("/users")
async def listed(studio: TheStudio, visitor: Admin) -> dict[str, Any]:
    """Who may enter."""
    return {"users": [{"name": user.name, "role": user.role} for user in studio.accounts.all()]}


@router.post("/users", status_code=201)
async def make(given: NewUser, request: Request, studio: TheStudio, visitor: Admin) -> dict[str, Any]:
    """A new user, or one who was removed and is back, with an invitation that works once."""
    back = studio.accounts.was_removed(given.name)
    try:
        adding = partial(studio.accounts.add, given.name, given.role, given.password)
        user = await run_sync(adding, limiter=request.app.state.passwords)
    except StoreError as refused:
        raise HTTPException(422, str(refused)) from refused
    shown = studio.accounts.issue(user, "invite", "invitation")
    return {"name": user.name, "role": user.role, "back": back, "invite": shown}


@router.post("/users/{name}/invite", status_code=201)
async def invite(name: str, studio: TheStudio, visitor: Admin) -> dict[str, str]:
    """A new invitation for somebody who has lost theirs."""
    try:
        user = studio.accounts.named(name)
    except StoreError as missing:
        raise HTTPException(404, str(missing)) from missing
    return {"invite": studio.accounts.issue(user, "invite", "invitation")}


@router.patch("/users/{name}")
async def change(name: str, given: Rights, studio: TheStudio, visitor: Admin) -> dict[str, str]:
    """Another role."""
    try:
        user = studio.accounts.change(name, role=given.role)
    except StoreError as refused:
        raise HTTPException(422, str(refused)) from refused
    return {"name": user.name, "role": user.role}


@router.delete("/users/{name}")
async def remove(name: str, studio: TheStudio, visitor: Admin) -> dict[str, bool]:
    """End an account; what they said stays."""
    try:
        studio.accounts.remove(name)
    except StoreError as refused:
        raise HTTPException(422, str(refused)) from refused
    return {"removed": True}


@router.get("/tokens")
async def tokens(studio: TheStudio, visitor: Admin) -> dict[str, Any]:
    """What is known of programs' passes; never the passes themselves."""
    return {"tokens": studio.accounts.passes_of("token")}


@router.post("/tokens", status_code=201)
async def token(given: NewToken, studio: TheStudio, visitor: Admin) -> dict[str, str]:
    """A pass for a program; it is shown this once."""
    try:
        return {"token": studio.accounts.issue(visitor.user, "token", given.label, given.scopes)}
    except StoreError as refused:
        raise HTTPException(422, str(refused)) from refused


@router.delete("/tokens/{digest}")
async def revoke(digest: str, studio: TheStudio, visitor: Admin) -> dict[Literal["revoked"], bool]:
    """End a program's pass."""
    if digest not in {one["digest"] for one in studio.accounts.passes_of("token")}:
        raise HTTPException(404, "there is no such token")
    return {"revoked": studio.accounts.revoke(digest)}
