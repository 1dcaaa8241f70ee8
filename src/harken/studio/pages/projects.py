"""A new project, a project with its items, and an item with all that was said of it."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from harken.feedback.desk.settings import ProjectSettings
from harken.feedback.records import feedback_from_json
from harken.studio.api.deps import After, TheStudio, project_of
from harken.studio.api.items import item_shown
from harken.studio.api.projects import about
from harken.studio.board import policies
from harken.studio.pages.render import Reader, Writer, page, speaker
from harken.studio.showing import part_of
from harken.studio.state import Studio
from harken.types import Comparison, Edit, Feedback, Ranking, Rating, Text

router = APIRouter(tags=["pages"], include_in_schema=False)
ROWS = 100
LETTERS = "ABCDEFGHI"


@router.get("/make")
async def make(request: Request, studio: TheStudio, visitor: Writer) -> Response:
    """A new project."""
    return page(request, visitor, "make.html", policies=policies(studio), s=ProjectSettings("new"))


@router.get("/projects/{slug}")
async def project(slug: str, request: Request, studio: TheStudio, visitor: Reader, after: After = 0) -> Response:
    """A project's items, a hundred at a time."""
    found = project_of(studio, slug)
    mine = (one for one in studio.desk.items.values() if one.project == found.id and one.id > after)
    every = list(islice(mine, ROWS))
    studio.warm(every)
    rows = [
        {
            "id": one.id,
            "form": one.form,
            "prompt": _begins(studio, one.prompt_id),
            "answers": studio.desk.answered(one.id),
            "known": one.gold is not None,
        }
        for one in every
    ]
    more = every[-1].id if len(every) == ROWS else None
    told = about(studio, found, visitor.user.name)
    return page(request, visitor, "project.html", project=told, s=found.settings, rows=rows, more=more)


@router.get("/items/{number}")
async def item(number: int, request: Request, studio: TheStudio, visitor: Reader) -> Response:
    """An item with everything that was said of it."""
    if number not in studio.desk.items:
        raise HTTPException(404, f"there is no item {number}")
    asked = studio.desk.items[number]
    found, t = item_shown(studio, number), speaker(request, visitor)
    for letter, one in zip(LETTERS, found["completions"], strict=False):
        one["letter"] = letter
    names = {one["id"]: f"{one['letter']} ({one['policy']})" for one in found["completions"]}
    for one in found["answers"]:
        one["words"] = _words(feedback_from_json(one["kind"], one["said"]), names, t)
    slug = next(slug for slug, one in studio.projects.items() if one.id == asked.project)
    told = {"slug": slug, "title": studio.projects[slug].settings.title, "gold": asked.gold}
    levels = studio.projects[slug].settings.criteria[0].levels
    prompt = [
        {"role": message.role, "parts": [part_of(studio, part) for part in message.parts]}
        for message in studio.prompt(found["prompt"]).messages
    ]
    return page(request, visitor, "item.html", item=found, prompt=prompt, project=told, levels=levels)


def _words(said: Feedback, names: Mapping[str, str], t: Any) -> str:
    """What was said, with the policies of completions: who reads this may know them."""
    match said:
        case Comparison(a=a, b=b, choice="a" | "b" as choice, strength=strength):
            words = t("item.better", name=names[a if choice == "a" else b])
            return words if strength is None else f"{words} ({t(f'strength.{strength}')})"
        case Comparison(choice=choice):
            return str(t(choice))
        case Ranking(tiers=tiers, rest=rest):
            words = " > ".join(" = ".join(names[name] for name in tier) for tier in tiers)
            return f"{words} > … {', '.join(names[name] for name in rest)}" if rest else words
        case Rating(criterion=criterion, score=score, levels=levels):
            return f"{criterion}: {score} / {levels}"
        case Edit(revision=revision):
            return revision


def _begins(studio: Studio, name: str) -> str:
    """How a prompt begins; its id where it has no words."""
    parts = [part for message in studio.prompt(name).messages for part in message.parts]
    return " ".join(part.text for part in parts if isinstance(part, Text))[:120] or name
