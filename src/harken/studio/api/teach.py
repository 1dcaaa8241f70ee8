"""Teaching a model: begin a run, ask people about its completions, train, and compare before with after."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from harken.data.media.limits import MediaError
from harken.feedback.database import StoreError
from harken.feedback.desk.ordering import Order, more_items
from harken.feedback.desk.planning import plan_items
from harken.feedback.desk.settings import ProjectSettings
from harken.studio.accounts import Visitor
from harken.studio.api.answering import Body
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import TheStudio, Writer
from harken.studio.api.items import Plan, extend, planned, reorder
from harken.studio.api.projects import about, add
from harken.studio.lessons import (
    Lesson,
    before_and_after,
    bring,
    count_answers,
    evaluation_digest,
    evaluation_of,
    questions,
    rounds,
    scores,
    write_answers,
)
from harken.studio.runs import curves
from harken.studio.state import Studio
from harken.studio.teaching import TeachError, Teaching

router = APIRouter(prefix="/api/v1/teach", tags=["teach"], route_class=StrictRoute)
QUESTIONS = 200
"""Comparisons that a run's project asks for at most."""


class Begin(Body):
    """A new run."""

    name: str = Field(max_length=40)
    size: str = Field("whole", max_length=100)


def teaching_of(request: Request) -> Teaching:
    """The runs that this studio started."""
    found = request.app.state.teaching
    assert isinstance(found, Teaching)
    return found


def _known(request: Request, name: str) -> Teaching:
    teaching = teaching_of(request)
    try:
        teaching.job(name)
    except TeachError as unknown:
        raise HTTPException(404, str(unknown)) from unknown
    return teaching


@router.get("")
async def every(request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """All runs that the studio started, the newest first, and what can be begun."""
    teaching = teaching_of(request)
    runs = [await _shown(studio, teaching, name) for name in teaching.names()]
    return {"runs": runs, "going": teaching.going(), "sizes": list(teaching.sizes)}


@router.post("", status_code=201)
async def begin(given: Begin, request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """Begin a run: a first model is made, and writes completions that people are asked about."""
    teaching = teaching_of(request)
    teaching.begin(given.name, given.size)
    return await _shown(studio, teaching, given.name)


@router.get("/{name}")
async def one(name: str, request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """How far a run is."""
    return await _shown(studio, _known(request, name), name)


@router.post("/{name}/questions", status_code=201)
async def ask(name: str, request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """A project about the run's newest completions; what people answer there is what the run learns from."""
    run = _known(request, name).folder(name)
    lesson = await run_in_threadpool(questions, run)
    slug = f"{name}-{lesson.policies[0].split('/')[-2]}"[:64]
    settings = ProjectSettings(f"{name}: which answer is better?", policies=lesson.policies)
    plan = partial(plan_items, settings=settings, counts={"comparison": QUESTIONS}, seed=0)
    chosen = list(lesson.chosen[:QUESTIONS])
    return await _project(studio, visitor, run, lesson, settings, slug, (lambda _: chosen) if chosen else plan)


@router.post("/{name}/more")
async def ask_more(name: str, request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """More questions about the run's newest completions; those come first where its reward model is unsure."""
    run = _known(request, name).folder(name)
    known = await run_in_threadpool(scores, run)
    found = _of(studio, f"{name}-round-")
    if not found:
        raise TeachError("the run has no project of questions yet; ask about its answers first")
    project = studio.projects[found[-1]["slug"]]

    plan = partial(more_items, project=project, scores=known, how=Order(), count=QUESTIONS)
    added = await extend(studio, project, await planned(studio, plan))
    await reorder(studio, project, known, Order())
    return {**about(studio, project, visitor.user.name), "added": added}


@router.post("/{name}/train")
async def train(name: str, request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """Learn from what people have said until now: the reward model, the policy, the evaluation."""
    teaching = _known(request, name)
    if (going := teaching.going()) is not None:
        raise TeachError(f"the run {going!r} is under way, and this machine teaches one at a time; wait, or stop it")
    count = await run_in_threadpool(write_answers, studio, teaching.folder(name), teaching.answers(name))
    if not count:
        raise TeachError("nobody has answered about this run's completions yet, so there is nothing to learn from")
    teaching.go_on(name, "train")
    return await _shown(studio, teaching, name)


@router.post("/{name}/continue")
async def go_on(name: str, request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """Go on with a run that was stopped or failed, with the answers that it has."""
    teaching = _known(request, name)
    teaching.go_on(name, teaching.job(name).doing)
    return await _shown(studio, teaching, name)


@router.post("/{name}/stop")
async def stop(name: str, request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """Have the run end after its step, with a checkpoint; asked twice, at once."""
    teaching = _known(request, name)
    teaching.stop(name)
    return await _shown(studio, teaching, name)


@router.post("/{name}/comparison", status_code=201)
async def compare(name: str, request: Request, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """A blind comparison of what the model said to held-out prompts before it was taught and afterwards."""
    teaching = _known(request, name)
    run = teaching.folder(name)
    digest = await run_in_threadpool(evaluation_digest, run)
    number = teaching.shown(name, digest)
    lesson = await run_in_threadpool(before_and_after, run, name, number)
    counted = f" ({number})" if number > 1 else ""
    settings = ProjectSettings(f"{name}: before and after, blind{counted}", policies=lesson.policies)
    plan = partial(plan_items, settings=settings, counts={}, seed=0)
    return await _project(studio, visitor, run, lesson, settings, f"{name}-blind-{number}", plan)


async def _project(
    studio: Studio, visitor: Visitor, run: Path, lesson: Lesson, settings: ProjectSettings, slug: str, plan: Plan
) -> dict[str, Any]:
    """The project of a lesson; the one that is there, if it was made before."""
    if (there := studio.projects.get(slug)) is not None:
        if there.settings.policies != settings.policies:
            raise TeachError(
                f"a project of other policies has the address {slug!r} already; take another name for a run"
            )
        return about(studio, there, visitor.user.name)
    try:
        await run_in_threadpool(bring, studio, run, lesson)
    except (StoreError, MediaError) as refused:
        raise HTTPException(422, str(refused)) from refused
    return await add(studio, visitor, settings, slug, plan)


async def _shown(studio: Studio, teaching: Teaching, name: str) -> dict[str, Any]:
    """A run with all that its page shows."""
    run = teaching.folder(name)

    def read() -> dict[str, Any]:
        told = teaching.progress(name)
        lines = [
            {
                "stage": line["stage"],
                "name": line["name"],
                "steps": int(line["x"][-1]) + 1,
                "first": line["y"][0],
                "last": line["y"][-1],
            }
            for line in curves(run)
        ]
        return {
            **told,
            "answers": count_answers(studio, run, teaching.counted),
            "figures": lines,
            "evaluation": evaluation_of(run),
            "scored": bool(rounds(run, "scores.jsonl")),
            "compared": _compared(studio, teaching, name),
        }

    told = await run_in_threadpool(read)
    return {**told, "questions": _of(studio, f"{name}-round-"), "comparisons": _of(studio, f"{name}-blind-")}


def _compared(studio: Studio, teaching: Teaching, name: str) -> bool:
    """Whether the newest evaluation has its blind comparison."""
    try:
        digest, known = evaluation_digest(teaching.folder(name)), teaching.job(name).evaluations
    except TeachError:
        return False
    return digest in known and f"{name}-blind-{known.index(digest) + 1}" in studio.projects


def _of(studio: Studio, slug: str) -> list[dict[str, Any]]:
    found = [project for project in studio.projects.values() if re.fullmatch(rf"{slug}\d+", project.slug)]
    return [
        {
            "slug": one.slug,
            "title": one.settings.title,
            "items": studio.desk.size(one.id),
            "left": studio.desk.left(one.id),
        }
        for one in found
    ]
