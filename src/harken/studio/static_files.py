"""Scripts and styles: read once, compressed once, and sent again only when they changed."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

router = APIRouter(tags=["pages"])
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
HERE = Path(__file__).parent / "static"


@dataclass(frozen=True)
class File:
    """A file as it is sent."""

    type: str
    data: bytes
    packed: bytes
    tag: str


def _read() -> dict[str, File]:
    out = {}
    for path in sorted(HERE.rglob("*")):
        if path.suffix in TYPES:
            data = path.read_bytes()
            tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            out[path.relative_to(HERE).as_posix()] = File(
                TYPES[path.suffix], data, gzip.compress(data, 9, mtime=0), tag
            )
    return out


FILES = _read()


@router.get("/static/{name:path}", response_class=Response, include_in_schema=False)
async def static(name: str, request: Request) -> Response:
    """A file by its name: one of those that were read at the start, and no other."""
    file = FILES.get(name)
    if file is None:
        raise HTTPException(404, "there is no such file")
    headers = {"ETag": file.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, media_type=file.type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.data, media_type=file.type, headers=headers)
