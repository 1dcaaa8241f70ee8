"""The page where a model is taught."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from harken.studio.api.teach import teaching_of
from harken.studio.pages.render import Writer, page

router = APIRouter(tags=["pages"], include_in_schema=False)


@router.get("/teach")
async def teach(request: Request, visitor: Writer) -> Response:
    """Begin, answer, train, compare."""
    return page(request, visitor, "teach.html", sizes=teaching_of(request).sizes)
