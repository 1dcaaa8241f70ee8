"""The application: routes, what guards them, and errors as words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from harken.studio import static_files
from harken.studio.api import answering, answers, chat, items, media, people, projects, session, teach
from harken.studio.api import webhooks as webhooks_api
from harken.studio.api.deps import visitor_of
from harken.studio.board import Board
from harken.studio.drawing import Drawings
from harken.studio.endpoints import Endpoints
from harken.studio.failing import RESPONSES, explain, said
from harken.studio.guard import Guard
from harken.studio.pages import answering as answering_pages
from harken.studio.pages import board as board_pages
from harken.studio.pages import chat as chat_pages
from harken.studio.pages import people as people_pages
from harken.studio.pages import projects as project_pages
from harken.studio.pages import teach as teach_pages
from harken.studio.pages.render import page
from harken.studio.state import Studio
from harken.studio.teaching import TeachError, Teaching
from harken.studio.throttle import Throttle
from harken.studio.webhooks import Webhooks

ROUTERS = (
    session.router,
    answering.router,
    projects.router,
    items.router,
    people.router,
    media.router,
    answers.router,
    webhooks_api.router,
    chat.router,
    teach.router,
)
PAGES = (
    answering_pages.router,
    board_pages.router,
    project_pages.router,
    people_pages.router,
    chat_pages.router,
    teach_pages.router,
    static_files.router,
)
TRIES, EVERY = 10, 6.0
"""Tries at entering that may come at once, and seconds until one more is allowed."""
TURNS, TURN_EVERY = 20, 3.0
"""Turns of a chat, of one visitor, likewise."""

PASSWORDS = 2
"""Passwords that are hashed at once; each takes 16 MiB."""


def make_app(studio: Studio) -> FastAPI:
    """The application of a studio; it lets go of the studio when it ends."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        told = Webhooks(studio.store.engine, studio.writer, studio.config.private)
        app.state.webhooks = told
        studio.listeners.append(told.tell)
        watching = asyncio.create_task(app.state.teaching.watch())
        yield
        watching.cancel()
        told.close()
        studio.close()

    app = FastAPI(
        title="harken studio",
        version="1",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.studio = studio
    app.state.drawings = Drawings()
    app.state.board = Board(studio)
    app.state.throttle = Throttle(TRIES, EVERY)
    app.state.passwords = CapacityLimiter(PASSWORDS)
    app.state.chat_throttle = Throttle(TURNS, TURN_EVERY)
    app.state.under_way = set()
    app.state.endpoints = Endpoints(studio.config.endpoints)
    app.state.teaching = Teaching(studio.config.folder, studio.config.runs, partial(studio.tell, "run.ended"))
    for router in ROUTERS:
        app.include_router(router, responses=RESPONSES)
    for router in PAGES:
        app.include_router(router)
    explain(app)
    app.add_exception_handler(HTTPException, _said)
    app.add_exception_handler(TeachError, _not_taught)
    app.add_middleware(Guard, config=studio.config)
    return app


async def _said(request: Request, error: Exception) -> Response:
    """People who followed a link to what is not there, or not for them, get a page; programs get JSON."""
    assert isinstance(error, HTTPException)
    if error.status_code in (403, 404) and "text/html" in request.headers.get("accept", ""):
        return page(request, visitor_of(request), "missing.html", error.status_code)
    return said(error)


async def _not_taught(request: Request, error: Exception) -> Response:
    return said(HTTPException(409, str(error)))
