"""Media: uploads by content, and what pages show."""

import json
from collections.abc import Iterator

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from harken.data.media.limits import MediaError, UnknownFormatError
from harken.studio.api.answering import Body
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import Answerer, TheStudio, Writer
from harken.studio.media import MOST_PART, part
from harken.studio.outward import Unreachable, fetch
from harken.studio.showing import part_of
from harken.studio.state import Studio
from harken.studio.taking import UPLOADS
from harken.types import MEDIA, Modality

router = APIRouter(tags=["media"], route_class=StrictRoute)
FOREVER = "private, max-age=31536000, immutable"
ANY_BODY = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
BOX = "default-src 'none'; sandbox"
"""For what somebody uploaded: even if a browser were to run it, nothing would be reached."""


CHUNK = 1 << 20


@router.get("/media/{sha256}", response_class=Response)
async def medium(sha256: str, request: Request, studio: TheStudio, visitor: Answerer) -> Response:
    """A picture, a sound or numbers by its hash; parts of it by Range.

    Whoever may answer may ask for any hash: nobody guesses the SHA-256 of bytes that they have not got.
    """
    found = await run_in_threadpool(studio.media.find, sha256)
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
        asked = part(found.size, request.headers.get("range"))
    except ValueError as beyond:
        raise HTTPException(416, str(beyond), {"Content-Range": f"bytes */{found.size}"}) from beyond
    if asked is None and found.size > MOST_PART:
        headers["Content-Length"] = str(found.size)
        return StreamingResponse(_chunks(studio, sha256, found.size), 200, headers, found.type)
    first, last = asked or (0, found.size - 1)
    data = await run_in_threadpool(studio.blobs.read_part, sha256, first, last)
    if asked is None:
        return Response(data, 200, headers, found.type)
    headers["Content-Range"] = f"bytes {first}-{last}/{found.size}"
    return Response(data, 206, headers, found.type)


def _chunks(studio: Studio, sha256: str, size: int) -> Iterator[bytes]:
    for first in range(0, size, CHUNK):
        yield studio.blobs.read_part(sha256, first, min(first + CHUNK, size) - 1)


@router.get("/media/{sha256}/peaks", response_class=Response)
async def peaks(sha256: str, studio: TheStudio, visitor: Answerer) -> Response:
    """A sound's peaks, from 0 to 1, to draw it by."""
    found = await run_in_threadpool(studio.media.find, sha256)
    if found is None or not found.type.startswith("audio/"):
        raise HTTPException(404, "there is no such sound")
    drawn = await run_in_threadpool(studio.media.peaks, sha256)
    return Response(json.dumps({"peaks": drawn}), media_type="application/json", headers={"Cache-Control": FOREVER})


@router.post("/api/v1/media", status_code=201, openapi_extra=ANY_BODY)
async def upload(kind: Modality, request: Request, studio: TheStudio, visitor: Answerer) -> dict[str, object]:
    """Keep a picture, a sound or numbers: the body is its bytes. What is no such medium, or too big, is refused."""
    async with studio.taking.turns:
        return await _take(studio, await request.body(), kind)


class Remote(Body):
    """Where a medium lies."""

    kind: Modality
    url: str = Field(min_length=1, max_length=2000)


@router.post("/api/v1/media/remote", status_code=201)
async def remote(given: Remote, studio: TheStudio, visitor: Writer) -> dict[str, object]:
    """Fetch a medium and keep it as an upload; off unless the studio was started with --remote-media."""
    if not studio.config.remote:
        raise HTTPException(403, "remote media are off; upload the bytes, or start the studio with --remote-media")
    # A slow server keeps no upload waiting.
    async with studio.taking.fetches:
        try:
            data = await run_in_threadpool(fetch, given.url, UPLOADS.bytes_of(given.kind), studio.config.private)
        except Unreachable as why:
            raise HTTPException(422, str(why)) from why
        async with studio.taking.turns:
            return await _take(studio, data, given.kind)


async def _take(studio: Studio, data: bytes, kind: Modality) -> dict[str, object]:
    try:
        sha256 = await studio.taking.take(data, kind)
    except UnknownFormatError as unknown:
        raise HTTPException(422, unknown.plain) from unknown
    except MediaError as refused:
        raise HTTPException(422, str(refused)) from refused
    return {"sha256": sha256, **part_of(studio, MEDIA[kind](sha256))}
