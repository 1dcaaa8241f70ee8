"""Items for one window, and what comes back: the road that every answer takes."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError

from harken.feedback.desk.desk import Turn
from harken.feedback.desk.keeping import Said, write_turns
from harken.feedback.intake import answer_record
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import Answerer, TheStudio, project_of
from harken.studio.saying import Reply, blind, keys_of, said_of
from harken.studio.showing import task_of
from harken.studio.state import Studio
from harken.types import Comparison, Edit, Feedback, Ranking, Rating

router = APIRouter(prefix="/api/v1", tags=["answering"], route_class=StrictRoute)
REOPENED = 10
Name = Annotated[str, Field(max_length=128)]


class Body(BaseModel):
    """A body whose keys are all known."""

    model_config = ConfigDict(extra="forbid")


class Ask(Body):
    """What a window has, and how much it wants."""

    tab: str = Field(min_length=1, max_length=64)
    holding: list[Name] = Field(default_factory=list, max_length=50)
    want: int = Field(5, ge=1, le=50)


class Given(Body):
    """What somebody says of one turn."""

    key: Name
    said: dict[str, Any] = Field(default_factory=dict)
    seconds: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False)
    amends: int = Field(0, ge=0, le=1000)
    remarks: dict[Name, str] = Field(default_factory=dict)


class GivenList(Body):
    """Some answers; each is kept or refused by itself."""

    answers: list[Given] = Field(min_length=1, max_length=50)


@router.post("/projects/{slug}/next")
async def next_items(slug: str, ask: Ask, studio: TheStudio, visitor: Answerer) -> dict[str, Any]:
    """Items to answer, leased to this annotator; the answers are wanted before `lease_seconds` are over."""
    project = project_of(studio, slug)
    name = visitor.user.name
    given, changed = studio.desk.give(project.id, name, ask.tab, set(ask.holding), ask.want, time.monotonic())
    if changed:
        await studio.write(write_turns, changed)
    studio.warm([studio.desk.items[turn.item] for turn in given])
    tasks = [task_of(studio, turn) for turn in given]
    return {
        "items": tasks,
        "left": studio.desk.left(project.id),
        "answered": studio.desk.done_by(project.id, name),
        "open": project.settings.open,
        "lease_seconds": project.settings.lease_seconds,
    }


@router.post("/projects/{slug}/release")
async def release(slug: str, ask: Ask, studio: TheStudio, visitor: Answerer) -> dict[str, int]:
    """Give back what a window holds; others get it."""
    project_of(studio, slug)
    back = studio.desk.release(visitor.user.name, ask.tab)
    if back:
        await studio.write(write_turns, back)
    return {"released": len(back)}


@router.post("/answers")
async def answer(given: GivenList, studio: TheStudio, visitor: Answerer) -> dict[str, Any]:
    """Keep answers. When this returns they are on the disk; sending them again changes nothing."""
    results = await asyncio.gather(*(_keep(studio, visitor.user.name, one) for one in given.answers))
    return {"results": results}


async def _keep(studio: Studio, name: str, given: Given) -> dict[str, Any]:
    turn = studio.desk.turns.get(given.key)
    if turn is None or turn.annotator != name:
        return {"key": given.key, "status": "refused", "why": "this item was not given to you"}
    reply = Reply(given.key, given.said, given.seconds, given.amends, given.remarks)
    try:
        said = said_of(studio, turn, reply)
        kept = await studio.write(studio.write_said, said)
    except ValueError as refused:
        return {"key": given.key, "status": "refused", "why": blind(studio, turn, str(refused))}
    except DataError:
        return {"key": given.key, "status": "refused", "why": "the database cannot keep this: a text is too long"}
    if said.answers:
        studio.known.kinds[name] = "human"
    there = any(held is not mine for held, mine in zip(kept, said.answers, strict=True))
    other = any(held != mine for held, mine in zip(kept, said.answers, strict=True))
    turn.amended = max(turn.amended, said.amended)
    if not (there and turn.ended == "answered"):
        studio.desk.end(turn.key, said.ended)
    if not there:
        _tell(studio, said)
    status = "other" if other else "there" if there else "kept"
    return {"key": given.key, "status": status}


def _tell(studio: Studio, said: Said) -> None:
    for one in said.answers:
        studio.tell("answer.created", answer_record(one))


@router.get("/projects/{slug}/mine")
async def mine(slug: str, studio: TheStudio, visitor: Answerer) -> dict[str, Any]:
    """This annotator's last ten items of a project, with what they said, to be changed."""
    project = project_of(studio, slug)
    last = studio.desk.last_of(project.id, visitor.user.name, REOPENED)
    return {"items": [{**task_of(studio, turn), **_before(studio, turn)} for turn in last]}


def _before(studio: Studio, turn: Turn) -> dict[str, Any]:
    """What was said of a turn last, as a page says it, and which amendment would be the next."""
    said = {answer.key: answer.feedback for answer in studio.store.answers_with(keys_of(studio, turn))}
    latest = {key: one for key, one in said.items() if key.endswith(f"~{turn.amended}") or not turn.amended}
    return {"said": _shown(studio, turn, list(latest.values())), "next_amends": turn.amended + bool(said)}


def _shown(studio: Studio, turn: Turn, said: list[Feedback]) -> dict[str, Any]:
    match said:
        case [Comparison(a=a, b=b, choice=choice, strength=strength)]:
            named = {"a": a, "b": b}.get(choice)
            return {"choice": choice if named is None else studio.hidden(turn.key, named), "strength": strength}
        case [Ranking(tiers=tiers, rest=rest)]:
            placed = [[studio.hidden(turn.key, name) for name in tier] for tier in tiers]
            return {"tiers": placed, "rest": [studio.hidden(turn.key, name) for name in rest]}
        case [Edit(completion=name, revision=revision)]:
            return {"candidate": studio.hidden(turn.key, name), "revision": revision}
        case ratings:
            return (
                {"scores": {one.criterion: one.score for one in ratings if isinstance(one, Rating)}} if ratings else {}
            )
