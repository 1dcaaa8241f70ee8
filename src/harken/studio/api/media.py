"""Media: uploads by content, and what pages show."""

import json
from typing import Literal

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from harken.data.media.limits import MediaError
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import Answerer, TheStudio
from harken.studio.media import part, peaks_of, read_medium
from harken.studio.showing import part_of
from harken.types import Audio, Image

router = APIRouter(tags=["media"], route_class=StrictRoute)
FOREVER = "private, max-age=31536000, immutable"
BOX = "default-src 'none'; sandbox"
"""For what somebody uploaded: even if a browser were to run it, nothing would be reached."""


@router.get("/media/{sha256}", response_class=Response)
async def medium(sha256: str, request: Request, studio: TheStudio, visitor: Answerer) -> Response:
    """A picture or a sound by its hash; parts of it by Range."""
    found = await run_in_threadpool(read_medium, studio.blobs, sha256)
    if found is None:
        raise HTTPException(404, "there is no such medium")
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": FOREVER,
        "Content-Security-Policy": BOX,
        "ETag": f'"{sha256}"',
    }
    if request.headers.get("if-none-match") == f'"{sha256}"':
        return Response(status_code=304, headers=headers)
    try:
        asked = part(len(found.data), request.headers.get("range"))
    except ValueError as beyond:
        raise HTTPException(416, str(beyond), {"Content-Range": f"bytes */{len(found.data)}"}) from beyond
    if asked is None:
        return Response(found.data, media_type=found.type, headers=headers)
    first, last = asked
    headers["Content-Range"] = f"bytes {first}-{last}/{len(found.data)}"
    return Response(found.data[first : last + 1], 206, headers, found.type)


@router.get("/media/{sha256}/peaks", response_class=Response)
async def peaks(sha256: str, studio: TheStudio, visitor: Answerer) -> Response:
    """A sound's peaks, from 0 to 1, to draw it by."""
    found = await run_in_threadpool(read_medium, studio.blobs, sha256)
    if found is None or not found.type.startswith("audio/"):
        raise HTTPException(404, "there is no such sound")
    drawn = await run_in_threadpool(peaks_of, found.data)
    return Response(json.dumps({"peaks": drawn}), media_type="application/json", headers={"Cache-Control": FOREVER})


@router.post("/api/v1/media", status_code=201)
async def upload(
    kind: Literal["image", "audio"], request: Request, studio: TheStudio, visitor: Answerer
) -> dict[str, object]:
    """Keep a picture or a sound: the body is its bytes. What is no such medium, or too big, is refused."""
    data = await request.body()
    try:
        sha256 = await run_in_threadpool(studio.blobs.put, data, kind)
    except MediaError as refused:
        raise HTTPException(422, str(refused)) from refused
    return {"sha256": sha256, **part_of(studio, Image(sha256) if kind == "image" else Audio(sha256))}
