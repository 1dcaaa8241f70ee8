"""Errors as words, all in one form: `{"error": "..."}`. What is not kept is never acknowledged."""

import errno
import logging
import sqlite3

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from harken.data.media.limits import MediaError
from harken.feedback.desk.owning import DeskLostError
from harken.studio.guard import HEADERS
from harken.studio.mistakes import in_words

LOG = logging.getLogger("harken.studio")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PG_FULL = "53100"
AGAIN = {"Retry-After": "5"}


class Problem(BaseModel):
    """Why something was not done, and how to mend it."""

    error: str


RESPONSES: dict[int | str, dict[str, object]] = {
    "4XX": {"model": Problem, "description": "Refused; nothing was changed"},
    "5XX": {"model": Problem, "description": "Not done; try again later"},
}


def explain(app: FastAPI) -> None:
    """Have all errors of an application say what went wrong."""
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(MediaError, _missing)
    for kind in (DBAPIError, PoolTimeoutError, DeskLostError, OSError):
        app.add_exception_handler(kind, _away)
    app.add_exception_handler(Exception, _broken)


def said(error: HTTPException) -> JSONResponse:
    """A refusal, in its own words."""
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


async def _wrong(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _problem(422, in_words(error.errors()))


async def _away(request: Request, error: Exception) -> JSONResponse:
    LOG.warning("%s %s: %s", request.method, request.url.path.encode("unicode_escape").decode(), _short(error))
    if isinstance(error, DataError):
        return _problem(422, "the database cannot keep this: a text is too long for it, or a number too large")
    if isinstance(error, IntegrityError):
        return _problem(409, "this is there already, or what it speaks of is not")
    if is_full(error):
        return _problem(507, "the disk is full, and this was not kept; make room, and send it again", AGAIN)
    if isinstance(error, DeskLostError):
        return _problem(503, f"this was not kept: {error}", AGAIN)
    return _problem(503, "the database does not answer, and this was not kept; send it again", AGAIN)


async def _missing(request: Request, error: Exception) -> JSONResponse:
    return _problem(409, str(error))


async def _broken(request: Request, error: Exception) -> JSONResponse:
    # Starlette answers this one outside of the guard.
    headers = {name.decode(): value.decode() for name, value in HEADERS}
    return _problem(500, "something went wrong in the studio, and its log says what", headers)


def is_full(error: Exception) -> bool:
    """Whether there was no room on a disk."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # What SQLite's own files hit at a quota or the end of a file system is an input/output error of writing.
        code = getattr(cause, "sqlite_errorcode", 0)
        return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
    if isinstance(cause, OSError):
        return cause.errno in FULL
    return getattr(cause, "sqlstate", None) == PG_FULL


def _short(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return f"{type(cause).__name__}: {cause}".replace("\n", " ")[:300]


def _problem(status: int, why: str, headers: dict[str, str] | None = None) -> JSONResponse:
    # What people sent is quoted in it, and may hold half a character.
    return JSONResponse({"error": why.encode("utf-8", "replace").decode()}, status, headers)
