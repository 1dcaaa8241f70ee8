"""Entering, the projects, and the page where people answer."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from harken.studio.api.deps import TheStudio
from harken.studio.api.projects import about, may_answer
from harken.studio.pages.render import Answerer, page

router = APIRouter(tags=["pages"], include_in_schema=False)


@router.get("/enter")
async def enter(request: Request) -> Response:
    """By an invitation, or by name and password."""
    return page(request, None, "enter.html")


@router.get("/")
async def home(request: Request, studio: TheStudio, visitor: Answerer) -> Response:
    """What there is to answer."""
    name = visitor.user.name
    seen = [p for p in studio.projects.values() if "read" in visitor.scopes or may_answer(p, name)]
    return page(request, visitor, "home.html", projects=[about(studio, project, name) for project in seen])


@router.get("/p/{slug}")
async def answer(slug: str, request: Request, studio: TheStudio, visitor: Answerer) -> Response:
    """One item after another."""
    name = visitor.user.name
    if slug not in studio.projects or not may_answer(studio.projects[slug], name):
        return RedirectResponse("/", 303)
    told: dict[str, Any] = {"slug": slug, "user": name, "shortcuts": visitor.user.settings.get("shortcuts", {})}
    return page(request, visitor, "answer.html", project=about(studio, studio.projects[slug], name), page=told)
