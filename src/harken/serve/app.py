"""The API: `/v1/models`, `/v1/chat/completions`, `/health`."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from fastapi import FastAPI
from fastapi import Request as Call
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp

from harken.data.blobs import Blobs
from harken.models.model import Model
from harken.serve.answering import Begun, Event, Failed, Job, Piece
from harken.serve.guard import Guard
from harken.serve.reading import read_prompt
from harken.serve.refusal import Refusal
from harken.serve.request import read_request
from harken.serve.settings import ServeConfig
from harken.serve.wire import DONE, Writer, sent
from harken.serve.worker import Worker
from harken.types import JSON

READERS = 2
"""Requests whose media are decoded at a time."""
STREAM = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
T = TypeVar("T")


class Gone(Exception):
    """Who asked is no longer there."""


@dataclass
class Desk:
    """What the routes need.

    Attributes:
        model: what is served.
        name: what it is called.
        config: bounds.
        worker: answers.
    """

    model: Model
    name: str
    config: ServeConfig
    worker: Worker
    created: int = field(default_factory=lambda: int(time.time()))
    readers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READERS))

    def card(self) -> dict[str, JSON]:
        """The model as `/v1/models` lists it."""
        takes: list[JSON] = ["text", *sorted(self.model.processor.takes)]
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "harken",
            "input_modalities": takes,
        }

    async def answer(self, call: Call) -> Response:
        """A request from its first byte to its last."""
        give_back = self.worker.take_place()
        submitted = False
        try:
            body = await _body(call, self.config)
            with TemporaryDirectory(prefix="harken-serve-", ignore_cleanup_errors=True) as folder:
                events: asyncio.Queue[Event] = asyncio.Queue()
                tell = _teller(events, asyncio.get_running_loop())
                async with self.readers:
                    job = await asyncio.to_thread(self._read, body, Path(folder), tell, give_back)
                del body
                self.worker.submit(job)
                submitted = True
                try:
                    begun = await _unless_gone(call, events.get())
                except BaseException:
                    self.worker.forget(job)
                    raise
        except Gone:
            return Response(status_code=499)
        finally:
            if not submitted:
                give_back()
        if isinstance(begun, Failed):
            raise begun.refusal
        assert isinstance(begun, Begun)
        writer = Writer(self.name, job.request, begun, self.model.processor)
        if job.request.stream:
            # Who hangs up at once has a stream that never began, and so never ends: hence the task behind it.
            behind = BackgroundTask(self.worker.forget, job)
            return StreamingResponse(self._stream(job, events, writer), 200, STREAM, "text/event-stream", behind)
        try:
            pieces = await _unless_gone(call, _collected(events, job.request.n))
        except Gone:
            return Response(status_code=499)
        finally:
            self.worker.forget(job)
        return JSONResponse(writer.whole(pieces))

    def _read(self, body: bytes, folder: Path, tell: Callable[[Event], None], done: Callable[[], None]) -> Job:
        """In a thread: JSON and media are checked while others go on."""
        request = read_request(body, self.name, self.config, self.model.processor)
        blobs = Blobs(folder, flush=False)
        return Job(request, read_prompt(request.messages, blobs, self.model.processor), blobs, tell, done)

    async def _stream(self, job: Job, events: asyncio.Queue[Event], writer: Writer) -> AsyncIterator[bytes]:
        try:
            for chunk in writer.first():
                yield sent(chunk)
            async for piece in _pieces(events, job.request.n):
                for chunk in writer.chunks(piece):
                    yield sent(chunk)
            for chunk in writer.last():
                yield sent(chunk)
            yield DONE
        except Refusal as refusal:
            # The status is sent already; without [DONE] nobody takes what came for the whole.
            yield sent(refusal.body())
        finally:
            self.worker.forget(job)


def make_app(desk: Desk) -> ASGIApp:
    """The application, behind its guard."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        desk.worker.start()
        try:
            yield
        finally:
            await asyncio.to_thread(desk.worker.close)

    app = FastAPI(title="harken serve", openapi_url=None, docs_url=None, redoc_url=None, lifespan=life)

    @app.get("/health")
    async def health() -> dict[str, JSON]:
        return {"status": "ok"}

    @app.get("/v1/models")
    async def models() -> dict[str, JSON]:
        return {"object": "list", "data": [desk.card()]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, JSON]:
        if name != desk.name:
            raise Refusal(f"there is no model {name[:200]!r}; here is {desk.name!r}", "model", "model_not_found", 404)
        return desk.card()

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(call: Call) -> Response:
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # Pages of strangers may send other kinds unasked.
            raise Refusal("send Content-Type: application/json", code="wrong_content_type", status=415)
        return await desk.answer(call)

    _say_errors_as_openai(app)
    return Guard(app, desk.config)


def _say_errors_as_openai(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refused(_: Call, refusal: Refusal) -> Response:
        return JSONResponse(refusal.body(), refusal.status, refusal.headers)

    @app.exception_handler(HTTPException)
    async def unknown(call: Call, error: HTTPException) -> Response:
        here = "here are GET /v1/models and POST /v1/chat/completions"
        said = f"{call.method} {call.url.path[:200]}: {error.detail}; {here}"
        return JSONResponse(Refusal(said, status=error.status_code).body(), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Call, error: Exception) -> Response:
        refusal = Refusal("the server failed; its log says why", None, "internal_error", 500)
        return JSONResponse(refusal.body(), 500)


async def _body(call: Call, config: ServeConfig) -> bytes:
    """The request's bytes, never more of them than are allowed, nor for longer."""
    most = config.body_mib << 20
    too_large = Refusal(
        f"a request has at most {config.body_mib} MiB here (body_mib=... when serving); send smaller media",
        code="request_too_large",
        status=413,
    )
    length = call.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(config.seconds):
            async for part in call.stream():
                size += len(part)
                if size > most:
                    raise too_large
                parts.append(part)
    except TimeoutError as error:
        late = f"the request took longer than {config.seconds:g} s to arrive"
        raise Refusal(late, status=408, headers={"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise Gone from error
    return b"".join(parts)


def _teller(events: asyncio.Queue[Event], loop: asyncio.AbstractEventLoop) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server is gone, and so is who asked
            loop.call_soon_threadsafe(events.put_nowait, event)

    return tell


async def _unless_gone(call: Call, wanted: Awaitable[T]) -> T:
    """What is waited for, unless who asked hangs up before it is there.

    Raises:
        Gone: if so.
    """
    task, gone = asyncio.ensure_future(wanted), asyncio.ensure_future(_hung_up(call))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each


async def _hung_up(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass


async def _pieces(events: asyncio.Queue[Event], n: int) -> AsyncIterator[Piece]:
    """The pieces of n answers, up to the end of the last.

    Raises:
        Refusal: if the request failed.
    """
    left = n
    while left:
        event = await events.get()
        if isinstance(event, Failed):
            raise event.refusal
        assert isinstance(event, Piece)
        left -= event.finish is not None
        yield event


async def _collected(events: asyncio.Queue[Event], n: int) -> list[Piece]:
    return [piece async for piece in _pieces(events, n)]
