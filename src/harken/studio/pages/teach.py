"""The page where a model is taught."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from harken.studio.api.deps import visitor_of
from harken.studio.api.teach import teaching_of
from harken.studio.pages.render import page, to_enter

router = APIRouter(tags=["pages"], include_in_schema=False)


@router.get("/teach")
async def teach(request: Request) -> Response:
    """Begin, answer, train, compare."""
    visitor = visitor_of(request)
    if visitor is None:
        return to_enter(request)
    if "write" not in visitor.scopes:
        return page(request, visitor, "missing.html", 403)
    return page(request, visitor, "teach.html", sizes=teaching_of(request).sizes)
