"""Items of a project: added, put in order, with known answers, and what was said of each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import Field
from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool

from harken.feedback.desk.gold import check_gold
from harken.feedback.desk.keeping import NewItem, Project, add_items, move_items
from harken.feedback.desk.ordering import ByScores, Order, places
from harken.feedback.desk.planning import fresh_items, plan_items
from harken.feedback.intake import answer_record
from harken.feedback.schema import items, remarks
from harken.studio.api.answering import Body, Name
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import After, Number, Reader, TheStudio, Writer, project_of
from harken.studio.saying import keys_of
from harken.studio.state import Studio

router = APIRouter(prefix="/api/v1", tags=["items"], route_class=StrictRoute)
PAGE = 100
Plan = Callable[[Connection], list[NewItem]]
"""Makes a project's items, of what the store holds."""


class More(Body):
    """More items from what the store holds now: how many of each form, or `most` of each that are not there yet."""

    counts: dict[str, int] = Field(default_factory=dict)
    most: int | None = Field(None, ge=1, le=100_000)
    seed: int = 0


async def planned(studio: Studio, plan: Plan) -> list[NewItem]:
    """The items of a plan, made beside the writing of answers.

    Raises:
        HTTPException: 422 if there is nothing to ask.
    """

    def read() -> list[NewItem]:
        with studio.store.reading() as connection:
            return plan(connection)

    try:
        return await run_in_threadpool(read)
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused


@router.post("/projects/{slug}/items")
async def more(slug: str, given: More, studio: TheStudio, visitor: Writer) -> dict[str, int]:
    """Add items from prompts and completions that came since; those that are there stay."""
    project = project_of(studio, slug)

    def plan(connection: Connection) -> list[NewItem]:
        if given.most is None:
            return plan_items(connection, project.settings, given.counts, given.seed)
        new = [fresh_items(connection, project, form, given.seed) for form in project.settings.forms]
        return [one for several in new for one in several[: given.most]]

    return {"added": await extend(studio, project, await planned(studio, plan))}


async def extend(studio: Studio, project: Project, new: list[NewItem]) -> int:
    """Add items to a project, those that are there stay; how many were added."""
    added = await studio.write(lambda connection, _: [add_items(connection, project, new)], None)
    studio.refresh(project)
    return int(added)


class Ordering(Body):
    """What a reward model says of completions: a score by each of its heads; comparisons of others stay spread."""

    scores: dict[Name, Annotated[list[float], Field(min_length=1, max_length=64)]]
    policy: ByScores = "bald"
    random_share: float = Field(0.25, ge=0, le=1)
    seed: int = Field(0, ge=0)


@router.post("/projects/{slug}/order")
async def order(slug: str, given: Ordering, studio: TheStudio, visitor: Writer) -> dict[str, int]:
    """Ask first where the reward model learns most; comparisons that still want answers are put in that order."""
    how = Order(given.policy, given.random_share, given.seed)
    return {"moved": await reorder(studio, project_of(studio, slug), given.scores, how)}


async def reorder(studio: Studio, project: Project, scores: Mapping[str, Sequence[float]], how: Order) -> int:
    """Put a project's comparisons in another order; how many they are."""
    open_still = studio.desk.wanting(project.id)
    try:
        found = await run_in_threadpool(places, open_still, scores, how)
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused
    await studio.write(_move, found)
    studio.desk.move(found)
    return len(found)


def _move(connection: Any, requests: Any) -> list[Any]:
    for found in requests:
        move_items(connection, found)
    return [None] * len(requests)


class Known(Body):
    """A question whose answer is known; mixed in where a project says `gold_every`."""

    form: Literal["comparison", "rating"]
    completions: list[Name] = Field(min_length=1, max_length=2)
    answer: dict[str, Any]


@router.post("/projects/{slug}/gold", status_code=201)
async def known(slug: str, given: Known, studio: TheStudio, visitor: Writer) -> dict[str, int]:
    """Add a question with its answer: `{"choice": COMPLETION | tie | both_bad}` or `{"low": 1, "high": 2}`."""
    project = project_of(studio, slug)
    names = tuple(given.completions)
    found = studio.completions(names)
    try:
        if (
            len(names) != {"comparison": 2, "rating": 1}[given.form]
            or len(found) != len(set(names))
            or len(found) < len(names)
        ):
            raise ValueError("a comparison is of two completions, a rating of one, all of them in the store")
        if len({one.prompt_id for one in found.values()}) > 1:
            raise ValueError("the two completions answer different prompts")
        gold = check_gold(given.form, names, given.answer)
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused
    new = NewItem(given.form, found[names[0]].prompt_id, names, 0.0, gold)
    return {"added": await extend(studio, project, [new])}


@router.get("/projects/{slug}/items")
async def some(slug: str, studio: TheStudio, visitor: Reader, after: After = 0) -> dict[str, Any]:
    """Items in the order of their making, a hundred at a time; go on with `after`."""
    project = project_of(studio, slug)
    query = select(items).where(items.c.project == project.id, items.c.id > after).order_by(items.c.id).limit(PAGE)
    with studio.store.reading() as connection:
        rows = connection.execute(query).all()
    found = [{"id": r.id, "form": r.form, "prompt": r.prompt_id, "completions": r.completions} for r in rows]
    for item in found:
        item["answers"] = studio.desk.answered(item["id"])
    return {"items": found, "after": found[-1]["id"] if len(found) == PAGE else None}


@router.get("/items/{item}")
async def item(item: Number, studio: TheStudio, visitor: Reader) -> dict[str, Any]:
    """An item with all that was said of it, amended answers too."""
    if item not in studio.desk.items:
        raise HTTPException(404, f"there is no item {item}")
    return item_shown(studio, item)


def item_shown(studio: Studio, number: int) -> dict[str, Any]:
    """An item with its answers and remarks."""
    found = studio.desk.items[number]
    said = studio.store.answers_with([key for turn in studio.desk.turns_at(number) for key in keys_of(studio, turn)])
    query = select(remarks).where(remarks.c.item == number).order_by(remarks.c.seq)
    with studio.store.reading() as connection:
        rows = connection.execute(query).all()
    shown = studio.completions(found.completions)
    return {
        "id": number,
        "form": found.form,
        "prompt": found.prompt_id,
        "completions": [{"id": n, "text": shown[n].text, "policy": shown[n].policy} for n in found.completions],
        "answers": [answer_record(answer) for answer in said],
        "remarks": [{"annotator": r.annotator, "kind": r.kind, "text": r.text} for r in rows],
    }
