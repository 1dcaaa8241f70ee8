"""Projects: what is asked, of whom, and how far it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import Field
from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool

from harken.data.settings import SettingsError, validate
from harken.feedback.database import StoreError
from harken.feedback.desk.gold import check_gold
from harken.feedback.desk.keeping import NewItem, Project, add_items, add_project, change_project, move_items
from harken.feedback.desk.ordering import ByScores, Order, places
from harken.feedback.desk.planning import plan_items
from harken.feedback.desk.settings import ProjectSettings, slug_of
from harken.feedback.intake import answer_record
from harken.feedback.schema import items, remarks
from harken.studio.accounts import Visitor
from harken.studio.api.answering import Body, Name
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import After, Answerer, Number, Reader, TheStudio, Writer, project_of
from harken.studio.saying import keys_of
from harken.studio.state import Studio

router = APIRouter(prefix="/api/v1", tags=["projects"], route_class=StrictRoute)
PAGE = 100
Plan = Callable[[Connection], list[NewItem]]
"""Makes a project's items, of what the store holds."""


class NewProject(Body):
    """A project to be: its settings, and how many items of each form (all there can be if not said)."""

    settings: dict[str, Any]
    slug: str = Field("", max_length=64, pattern="^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$")
    counts: dict[str, int] = Field(default_factory=dict)
    seed: int = 0


class Change(Body):
    """Settings that change; the others stay."""

    settings: dict[str, Any]


class More(Body):
    """More items from what the store holds now."""

    counts: dict[str, int] = Field(default_factory=dict)
    seed: int = 0


@router.get("/projects")
async def listed(studio: TheStudio, visitor: Answerer) -> dict[str, Any]:
    """All projects that this visitor may answer or read."""
    mine = [p for p in studio.projects.values() if "read" in visitor.scopes or may_answer(p, visitor.user.name)]
    return {"projects": [about(studio, project, visitor.user.name) for project in mine]}


@router.get("/projects/{slug}")
async def one(slug: str, studio: TheStudio, visitor: Answerer) -> dict[str, Any]:
    """One project."""
    project = project_of(studio, slug)
    if "read" not in visitor.scopes and not may_answer(project, visitor.user.name):
        raise HTTPException(404, f"there is no project {slug!r}")
    found = about(studio, project, visitor.user.name)
    return {**found, "settings": asdict(project.settings)} if "read" in visitor.scopes else found


@router.post("/projects", status_code=201)
async def make(given: NewProject, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """A new project with its items, made of the store's prompts and completions."""
    settings = _settings(given.settings)
    plan = partial(plan_items, settings=settings, counts=given.counts, seed=given.seed)
    return await add(studio, visitor, settings, given.slug, plan)


async def add(studio: Studio, visitor: Visitor, settings: ProjectSettings, slug: str, plan: Plan) -> dict[str, Any]:
    """A new project with the items of a plan; the slug is made of its title where it is empty."""
    slug = slug or _free(studio, slug_of(settings.title))

    def work(connection: Any, requests: Any) -> list[Any]:
        try:
            made = add_project(connection, slug, settings)
        except StoreError as taken:
            return [taken]
        return [(made, add_items(connection, made, plan(connection)))]

    try:
        project, added = await studio.write(work, None)
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused
    studio.refresh(project)
    studio.tell("project.created", {"slug": slug, "title": settings.title, "forms": settings.forms, "items": added})
    return {**about(studio, project, visitor.user.name), "added": added}


@router.patch("/projects/{slug}")
async def change(slug: str, given: Change, studio: TheStudio, visitor: Writer) -> dict[str, Any]:
    """Another title, overlap, who may answer, open or closed. Items stay."""
    project = project_of(studio, slug)
    settings = _settings({**_plain(project.settings), **given.settings})
    if settings.criteria != project.settings.criteria or settings.forms != project.settings.forms:
        raise HTTPException(422, "forms and criteria stay what they were, since answers name them; make a new project")
    changed = await studio.write(_change, (project, settings))
    studio.refresh(changed)
    return about(studio, changed, visitor.user.name)


def _change(connection: Any, requests: Any) -> list[Any]:
    return [change_project(connection, project, settings) for project, settings in requests]


@router.post("/projects/{slug}/items")
async def more(slug: str, given: More, studio: TheStudio, visitor: Writer) -> dict[str, int]:
    """Add items from prompts and completions that came since; those that are there stay."""
    project = project_of(studio, slug)

    def work(connection: Any, requests: Any) -> list[Any]:
        return [add_items(connection, project, plan_items(connection, project.settings, given.counts, given.seed))]

    try:
        added = await studio.write(work, None)
    except ValueError as refused:
        raise HTTPException(422, str(refused)) from refused
    studio.refresh(project)
    return {"added": added}


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

    def work(connection: Any, requests: Any) -> list[Any]:
        return [add_items(connection, project, [new])]

    added = await studio.write(work, None)
    studio.refresh(project)
    return {"added": added}


@router.get("/projects/{slug}/items")
async def some(slug: str, studio: TheStudio, visitor: Reader, after: After = 0) -> dict[str, Any]:
    """Items in the order of their making, a hundred at a time; go on with `after`."""
    project = project_of(studio, slug)
    query = select(items).where(items.c.project == project.id, items.c.id > after).order_by(items.c.id).limit(PAGE)
    with studio.store.reading() as connection:
        rows = connection.execute(query).all()
    found = [{"id": r.id, "form": r.form, "prompt": r.prompt_id, "completions": r.completions} for r in rows]
    turns = studio.desk.turns_by_item(project.id)
    for item in found:
        item["answers"] = sum(t.ended == "answered" for t in turns.get(item["id"], ()))
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
    turns = studio.desk.turns_by_item(found.project).get(number, ())
    said = studio.store.answers_with([key for turn in turns for key in keys_of(studio, turn)])
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


def _settings(given: dict[str, Any]) -> ProjectSettings:
    try:
        found = validate(ProjectSettings, given, "settings")
        assert isinstance(found, ProjectSettings)
        return replace(found)
    except (SettingsError, ValueError) as wrong:
        raise HTTPException(422, str(wrong)) from wrong


def _plain(settings: ProjectSettings) -> dict[str, Any]:
    return {entry.name: asdict(settings)[entry.name] for entry in fields(settings)}


def _free(studio: Studio, slug: str) -> str:
    found, number = slug, 2
    while found in studio.projects:
        found, number = f"{slug[:58].rstrip('-')}-{number}", number + 1
    return found


def may_answer(project: Project, name: str) -> bool:
    """Whether somebody may answer in a project now."""
    return project.settings.open and (not project.settings.annotators or name in project.settings.annotators)


def about(studio: Studio, project: Project, name: str) -> dict[str, Any]:
    """A project as somebody sees it."""
    settings = project.settings
    return {
        "slug": project.slug,
        "title": settings.title,
        "instructions": settings.instructions,
        "forms": list(settings.forms),
        "open": settings.open,
        "items": studio.desk.size(project.id),
        "overlap": settings.overlap,
        "left": studio.desk.left(project.id),
        "answered": studio.desk.done_by(project.id, name),
        "mine": may_answer(project, name),
    }
