"""The page where people talk to a model."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from harken.studio.pages.render import Answerer, page

router = APIRouter(tags=["pages"], include_in_schema=False)


@router.get("/chat")
async def chat(request: Request, visitor: Answerer) -> Response:
    """A conversation; what is said is kept, and so is what is said of it."""
    told: dict[str, Any] = {"user": visitor.user.name, "shortcuts": visitor.user.settings.get("shortcuts", {})}
    return page(request, visitor, "chat.html", page=told, servers=len(request.app.state.endpoints))
