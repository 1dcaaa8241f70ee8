"""Who is told of what happens; for owners."""

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import Field

from harken.feedback.database import StoreError
from harken.studio.api.answering import Body
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import Admin, Number
from harken.studio.webhooks import Webhooks

router = APIRouter(prefix="/api/v1", tags=["webhooks"], route_class=StrictRoute)


class NewWebhook(Body):
    """An address, and what it wants to be told of."""

    url: str = Field(min_length=1, max_length=2000)
    events: list[str] = Field(min_length=1, max_length=20)


def _webhooks(request: Request) -> Webhooks:
    found = request.app.state.webhooks
    assert isinstance(found, Webhooks)
    return found


@router.get("/webhooks")
def listed(request: Request, visitor: Admin) -> dict[str, Any]:
    """Webhooks, with how their deliveries went."""
    return {"webhooks": _webhooks(request).all()}


@router.post("/webhooks", status_code=201)
def make(given: NewWebhook, request: Request, visitor: Admin) -> dict[str, Any]:
    """A new webhook; its secret is shown this once."""
    try:
        return _webhooks(request).add(given.url, given.events)
    except StoreError as refused:
        raise HTTPException(422, str(refused)) from refused


@router.delete("/webhooks/{number}")
def remove(number: Number, request: Request, visitor: Admin) -> dict[str, bool]:
    """End a webhook."""
    if not _webhooks(request).remove(number):
        raise HTTPException(404, f"there is no webhook {number}")
    return {"removed": True}
