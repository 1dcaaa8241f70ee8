"""All answers as a stream, one a line or as a file of a known format; prompts and completions beside them."""

import json
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import Field
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from harken.data.record import check
from harken.feedback.exchange.names import NAMES
from harken.feedback.intake import answer_record, read_answer
from harken.feedback.records import prompt_from_json, prompt_to_json
from harken.feedback.schema import annotators, answers, completions, prompts
from harken.feedback.strict import fields
from harken.studio.api.answering import Body
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import After, Reader, TheStudio, Writer
from harken.studio.state import Studio
from harken.types import Completion, Prompt, Text

router = APIRouter(prefix="/api/v1", tags=["answers"], route_class=StrictRoute)
LINES = "application/x-ndjson"
AT_ONCE = 500


@router.get("/answers", response_class=StreamingResponse)
def every(studio: TheStudio, visitor: Reader, after: After = 0) -> StreamingResponse:
    """All answers, amended ones too, in the order that they came; `seq` of the last one goes on with `after`."""

    def lines() -> Iterator[str]:
        query = select(answers, annotators.c.kind.label("annotator_kind")).join(annotators).order_by(answers.c.seq)
        at = after
        while True:
            with studio.store.reading() as connection:
                rows = connection.execute(query.where(answers.c.seq > at).limit(AT_ONCE)).all()
            for row in rows:
                yield json.dumps({"seq": row.seq, **answer_record(read_answer(row))}, ensure_ascii=False) + "\n"
            if len(rows) < AT_ONCE:
                return
            at = rows[-1].seq

    return StreamingResponse(lines(), media_type=LINES)


@router.get("/prompts", response_class=StreamingResponse)
def asked(studio: TheStudio, visitor: Reader) -> StreamingResponse:
    """All prompts with their completions, one a line; media by hash, as `/media/HASH` gives them."""

    def lines() -> Iterator[str]:
        with studio.store.reading() as connection:
            names = connection.scalars(select(prompts.c.id).order_by(prompts.c.seq)).all()
        for name in names:
            with studio.store.reading() as connection:
                rows = connection.execute(select(completions).where(completions.c.prompt_id == name)).all()
            said = [{"id": r.id, "text": r.text, "policy": r.policy, "finished": bool(r.finished)} for r in rows]
            yield json.dumps({**prompt_to_json(studio.prompt(name)), "completions": said}, ensure_ascii=False) + "\n"

    return StreamingResponse(lines(), media_type=LINES)


@router.get("/export/{name}", response_class=StreamingResponse)
async def export(name: str, studio: TheStudio, visitor: Reader) -> StreamingResponse:
    """All feedback as one file of a format that other programs know; a response that breaks off is not whole."""
    if name not in NAMES:
        raise HTTPException(404, f"there is no format {name[:100]!r}; there are {', '.join(NAMES)}")
    # Only a studio that exports pays for the libraries of all formats.
    door = await run_in_threadpool(import_module, "harken.feedback.exchange.door")
    pieces = door.export_chunks(name, door.Place(studio.config.place, studio.blobs.folder))
    try:
        # What cannot be exported at all is told before anything is sent.
        first = await run_in_threadpool(next, pieces, b"")
    except door.DataError as refused:
        raise HTTPException(422, str(refused)) from refused
    file = f"feedback{door.FORMATS[name].SUFFIXES[0]}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return StreamingResponse(chain([first], pieces), media_type="application/octet-stream", headers=headers)


class Given(Body):
    """Prompts as `GET /prompts` gives them; media are uploaded before, and named by their hashes."""

    prompts: list[dict[str, Any]] = Field(min_length=1, max_length=1000)


@router.post("/prompts", status_code=201)
async def add(given: Given, studio: TheStudio, visitor: Writer) -> dict[str, int]:
    """Add prompts with their completions; what is there already must be the same."""
    try:
        found = await run_in_threadpool(lambda: [_read(one, studio) for one in given.prompts])
        await run_in_threadpool(studio.store.add_prompts, [prompt for prompt, _ in found])
        await run_in_threadpool(studio.store.add_completions, [c for _, several in found for c in several])
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused
    return {"prompts": len(found), "completions": sum(len(several) for _, several in found)}


def _read(given: dict[str, Any], studio: Studio) -> tuple[Prompt, list[Completion]]:
    plain = {name: value for name, value in given.items() if name != "completions"}
    prompt = prompt_from_json({"references": [], "facts": {}, **plain})
    check(prompt)
    for message in prompt.messages:
        for part in message.parts:
            if not isinstance(part, Text) and studio.media.find(part.sha256) is None:
                raise ValueError(f"prompt {prompt.id!r}: there is no medium {part.sha256!r}; upload it first")
    said = given.get("completions", [])
    if not isinstance(said, list):
        raise ValueError(f"prompt {prompt.id!r}: completions are a list")
    types: dict[str, type] = {"id": str, "text": str, "policy": str}
    read = [fields(one, "completion", types, {"finished": bool}) for one in said]
    return prompt, [Completion(prompt_id=prompt.id, **one) for one in read]
