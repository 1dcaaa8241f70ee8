"""Talking to a model, and saying what its answers are worth."""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from harken.data.media.limits import MediaError
from harken.data.openai import ServerError, part_of_message
from harken.feedback.intake import answer_record
from harken.studio.accounts import Visitor
from harken.studio.api.answering import Body, Name
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import Answerer, TheStudio
from harken.studio.chatting import (
    Exchange,
    answer_of,
    choice_answer,
    conversation,
    kept,
    new_id,
    thumb_answer,
    turn_id,
    write_answers,
    write_exchanges,
)
from harken.studio.endpoints import Endpoints
from harken.studio.showing import part_of
from harken.studio.state import Studio
from harken.types import MEDIA, Answer, Choice, Completion, Message, Modality, Part, Prompt, Text

router = APIRouter(prefix="/api/v1/chat", tags=["chat"], route_class=StrictRoute)
LINES = "application/x-ndjson"
RATE = 16_000
"""Samples a second of sounds that are sent to a model."""
SECONDS = 600.0
"""For the answers to one turn."""


class GivenText(Body):
    """Words."""

    type: Literal["text"]
    text: str = Field(min_length=1, max_length=20_000)


class GivenMedium(Body):
    """A picture, a sound or numbers that were uploaded before."""

    type: Modality
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Asked(Body):
    """Which model: the place of its server in the studio's list, and the name that the server lists."""

    endpoint: int = Field(ge=0, le=1000)
    model: str = Field(min_length=1, max_length=200)


class Turn(Body):
    """What is said now, and to whom; sending a key again asks nobody again."""

    key: Name = Field(min_length=8)
    after: Name | None = None
    parts: list[Annotated[GivenText | GivenMedium, Field(discriminator="type")]] = Field(min_length=1, max_length=16)
    asked: list[Asked] = Field(min_length=1, max_length=2)
    temperature: float = Field(1.0, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int = Field(512, ge=1, le=4096)


class Judgement(Body):
    """What all judgements have."""

    seconds: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False)
    amends: int = Field(0, ge=0, le=100)


class Chosen(Judgement):
    """Which of two answers is better; `a` is the one that was shown first."""

    a: Name
    b: Name
    choice: Choice


class Thumb(Judgement):
    """Whether an answer is good."""

    completion: Name
    up: bool


def _endpoints(request: Request) -> Endpoints:
    found = request.app.state.endpoints
    assert isinstance(found, Endpoints)
    return found


@router.get("/models")
async def models(request: Request, visitor: Answerer) -> dict[str, Any]:
    """The models that can be talked to; of a server that is away, why."""
    return {"models": await _endpoints(request).models()}


@router.post("/turns", response_class=StreamingResponse)
async def say(given: Turn, request: Request, studio: TheStudio, visitor: Answerer) -> StreamingResponse:
    """One turn of a conversation: the answers as lines of JSON while they are written; kept once they are whole."""
    name, turn = visitor.user.name, turn_id(studio, visitor.user.name, given.key)
    before = await run_in_threadpool(kept, studio, turn)
    if before is not None:
        return StreamingResponse(_again(studio, before), media_type=LINES)
    _refuse(given, request, visitor)
    try:
        messages = await run_in_threadpool(conversation, studio, name, given.after, [_part(one) for one in given.parts])
        told = await run_in_threadpool(lambda: [_message(studio, message) for message in messages])
    except (ValueError, MediaError) as refused:
        raise HTTPException(422, str(refused)) from refused
    under_way: set[str] = request.app.state.under_way
    if turn in under_way:
        raise HTTPException(409, "this turn is being answered; send it again in a moment")
    under_way.add(turn)
    # Which of two models is shown first is a seed's, and no model's.
    asked = sorted(given.asked, key=lambda one: studio.hidden(turn, f"{one.endpoint}/{one.model}"))
    talk = _Talk(studio, _endpoints(request), Prompt(turn, messages), told, given, asked, name)
    return _Stream(talk.lines(), partial(under_way.discard, turn))


class _Stream(StreamingResponse):
    """Lines that come, and what is to be done when they end, also where nobody is there to hear the first."""

    def __init__(self, lines: AsyncGenerator[str], ended: Callable[[], None]):
        super().__init__(lines, media_type=LINES)
        self._lines, self._ended = lines, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()
            await self._lines.aclose()


def _refuse(given: Turn, request: Request, visitor: Visitor) -> None:
    known = len(_endpoints(request))
    if any(one.endpoint >= known for one in given.asked):
        raise HTTPException(422, "there is no such model server; see /api/v1/chat/models")
    wait = request.app.state.chat_throttle.wait(visitor.user.name)
    if wait:
        raise HTTPException(429, "too many turns; wait a little", {"Retry-After": str(int(wait) + 1)})


def _part(given: GivenText | GivenMedium) -> Part:
    if isinstance(given, GivenText):
        return Text(given.text)
    return MEDIA[given.type](given.sha256)


def _message(studio: Studio, message: Message) -> dict[str, Any]:
    match message.parts:
        case (Text(text),):
            return {"role": message.role, "content": text}
        case parts:
            return {"role": message.role, "content": [part_of_message(part, studio.blobs, RATE) for part in parts]}


def _begun(studio: Studio, prompt: Prompt, names: list[str]) -> dict[str, Any]:
    last = [part_of(studio, part) for part in prompt.messages[-1].parts]
    return {"turn": prompt.id, "said": last, "candidates": names}


async def _again(studio: Studio, before: Exchange) -> AsyncIterator[str]:
    yield _line(_begun(studio, before.prompt, [one.id for one in before.completions]))
    for number, one in enumerate(before.completions):
        yield _line({"candidate": number, "text": one.text})
    yield _line({"kept": True})


def _line(said: dict[str, Any]) -> str:
    return json.dumps(said, ensure_ascii=False) + "\n"


class _Talk:
    """The answers to one turn, all at once."""

    def __init__(
        self,
        studio: Studio,
        endpoints: Endpoints,
        prompt: Prompt,
        told: list[dict[str, Any]],
        given: Turn,
        asked: list[Asked],
        name: str,
    ):
        self._studio, self._endpoints, self._prompt = studio, endpoints, prompt
        self._told, self._given, self._asked = told, given, asked
        self._names = [new_id(studio, name) for _ in asked]
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def lines(self) -> AsyncGenerator[str]:
        """As they come; nothing is kept unless all are whole."""
        yield _line(await run_in_threadpool(_begun, self._studio, self._prompt, self._names))
        asking = asyncio.create_task(self._all())
        try:
            while (said := await self._queue.get()) is not None:
                yield _line(said)
            made = await asking
            await self._studio.write(write_exchanges, Exchange(self._prompt, tuple(made)))
            yield _line({"kept": True})
        except TimeoutError:
            yield _line({"error": f"no answer within {SECONDS:.0f} seconds"})
        except ValueError as refused:
            yield _line({"error": str(refused)})
        except ExceptionGroup as several:
            if several.split(ServerError)[1] is not None:
                raise
            yield _line({"error": "; ".join(dict.fromkeys(str(one) for one in several.exceptions))})
        finally:
            asking.cancel()

    async def _all(self) -> list[Completion]:
        try:
            async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(number)) for number in range(len(self._asked))]
            return [task.result() for task in tasks]
        finally:
            self._queue.put_nowait(None)

    async def _one(self, number: int) -> Completion:
        asked = self._asked[number]
        body = {
            "model": asked.model,
            "messages": self._told,
            "temperature": self._given.temperature,
            "max_tokens": self._given.max_tokens,
            "seed": secrets.randbelow(1 << 31),
        }
        text, finished = "", True
        async for piece in self._endpoints.answer(asked.endpoint, body):
            text += piece.text
            finished = finished if piece.finished is None else piece.finished
            if piece.text:
                self._queue.put_nowait({"candidate": number, "text": piece.text})
        return Completion(self._names[number], self._prompt.id, text, f"chat/{asked.model}", finished)


@router.post("/choices")
async def choose(given: Chosen, studio: TheStudio, visitor: Answerer) -> dict[str, Any]:
    """Which of two answers is better, and whose they were. When this returns it is on the disk, and stays."""
    if given.amends:
        raise HTTPException(409, "the models were named when you chose, and a choice after that would not be blind")
    name = visitor.user.name
    try:
        answer = choice_answer(studio, name, (given.a, given.b), given.choice, given.seconds)
        models = [answer_of(studio, name, one).policy.removeprefix("chat/") for one in (given.a, given.b)]
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused
    return {**await _keep(studio, answer), "models": models}


@router.post("/thumbs")
async def thumb(given: Thumb, studio: TheStudio, visitor: Answerer) -> dict[str, Any]:
    """A thumb up or down. When this returns it is on the disk."""
    try:
        answer = thumb_answer(studio, visitor.user.name, given.completion, given.up, given.seconds, given.amends)
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused
    return await _keep(studio, answer)


async def _keep(studio: Studio, answer: Answer) -> dict[str, Any]:
    try:
        held = await studio.write(write_answers, answer)
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused
    if held is answer:
        studio.tell("answer.created", answer_record(answer))
    return {"status": "kept" if held is answer else "there" if held == answer else "other"}
