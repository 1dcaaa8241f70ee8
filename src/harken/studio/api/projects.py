"""Projects: what is asked, of whom, and how far it is."""

from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import Field

from harken.data.settings import SettingsError, validate
from harken.feedback.database import StoreError
from harken.feedback.desk.keeping import Project, add_items, add_project, change_project
from harken.feedback.desk.planning import plan_items
from harken.feedback.desk.settings import ProjectSettings, slug_of
from harken.studio.accounts import Visitor
from harken.studio.api.answering import Body
from harken.studio.api.bodies import StrictRoute
from harken.studio.api.deps import Answerer, TheStudio, Writer, project_of
from harken.studio.api.items import Plan, planned
from harken.studio.state import Studio

router = APIRouter(prefix="/api/v1", tags=["projects"], route_class=StrictRoute)


class NewProject(Body):
    """A project to be: its settings, and how many items of each form (all there can be if not said)."""

    settings: dict[str, Any]
    slug: str = Field("", max_length=64, pattern="^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$")
    counts: dict[str, int] = Field(default_factory=dict)
    seed: int = 0


class Change(Body):
    """Settings that change; the others stay."""

    settings: dict[str, Any]


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
    new = await planned(studio, plan)

    def work(connection: Any, requests: Any) -> list[Any]:
        try:
            made = add_project(connection, slug, settings)
        except StoreError as taken:
            return [taken]
        return [(made, add_items(connection, made, new))]

    try:
        project, added = await studio.write(work, None)
    except StoreError as taken:
        raise HTTPException(422, str(taken)) from taken
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
