"""The page of people: who may enter."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from harken.studio.api.deps import TheStudio
from harken.studio.pages.render import Admin, page

router = APIRouter(tags=["pages"], include_in_schema=False)


@router.get("/people")
async def people(request: Request, studio: TheStudio, visitor: Admin) -> Response:
    """Invite somebody, make a token."""
    tokens = studio.accounts.passes_of("token")
    return page(request, visitor, "people.html", users=studio.accounts.all(), tokens=tokens)
