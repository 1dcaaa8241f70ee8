"""Pages that show what answers do: the dashboard, an item with all its answers, who may enter, a new project."""

from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from harken.feedback.exchange.names import NAMES
from harken.studio.api.deps import After, TheStudio, project_of
from harken.studio.api.projects import about, item_shown
from harken.studio.board import Board, View, policies
from harken.studio.drawing import Drawings
from harken.studio.pages.render import Admin, Reader, Writer, page, speaker
from harken.studio.runs import runs
from harken.studio.showing import part_of
from harken.studio.state import Studio
from harken.types import Text

router = APIRouter(tags=["pages"], include_in_schema=False)


def _board(request: Request) -> Board:
    found = request.app.state.board
    assert isinstance(found, Board)
    return found


def _drawings(request: Request) -> Drawings:
    found = request.app.state.drawings
    assert isinstance(found, Drawings)
    return found


@router.get("/dashboard")
async def dashboard(
    request: Request, studio: TheStudio, visitor: Reader, project: str = "", who: Literal["people", "all"] = "people"
) -> Response:
    """Who said how much, how far they agree, who is preferred, and how the runs are doing."""
    board, chosen = _board(request), project_of(studio, project).id if project else None
    view, desks = View(chosen, who == "all"), board.desks()
    seen = await run_in_threadpool(board.look, view, desks)
    t = speaker(request, visitor)
    drawn = _addresses(request, _plots(seen, t))
    projects = [about(studio, one, visitor.user.name) for one in studio.projects.values()]
    shown: dict[str, Any] = {
        "seen": seen,
        "plots": drawn,
        "projects": projects,
        "formats": NAMES,
        "project": project,
        "who": who,
    }
    return page(request, visitor, "dashboard.html", **shown, **await _runs(request, studio, t))


@router.get("/dashboard/runs")
async def dashboard_runs(request: Request, studio: TheStudio, visitor: Reader) -> Response:
    """The part of the dashboard that changes while a run trains."""
    return page(request, visitor, "runs.html", **await _runs(request, studio, speaker(request, visitor)))


async def _runs(request: Request, studio: Studio, t: Any) -> dict[str, Any]:
    found = await run_in_threadpool(runs, studio.config.runs)
    return {"runs": found, "run_plots": _addresses(request, _run_plots(found, t))}


def _addresses(request: Request, plots: dict[str, Any]) -> dict[str, str]:
    return {name: _drawings(request).address(what) for name, what in plots.items()}


def _plots(seen: dict[str, Any], t: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if seen["days"]:
        last = list(seen["days"].items())[-30:]
        each = [{"label": day, "value": float(n)} for day, n in last]
        out["days"] = {"kind": "bars", "groups": {"": each}, "title": t("board.days"), "label": t("board.answers")}
    for criterion, places in seen["places"].items():
        each = [
            {"label": p["policy"], "value": p["rating"] - 1000, **{e: p[e] and p[e] - 1000 for e in ("low", "high")}}
            for p in places[:20]
        ]
        titles = {"title": t("board.places"), "label": t("board.above")}
        out[criterion] = {"kind": "bars", "groups": {"": each}, **titles}
    return out


def _run_plots(found: list[dict[str, Any]], t: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for run in found:
        lines = [{"label": f"{one['stage']}: {one['name']}", "x": one["x"], "y": one["y"]} for one in run["curves"]]
        if lines:
            out[f"{run['name']}/curves"] = {
                "kind": "panels",
                "lines": lines,
                "title": run["name"],
                "xlabel": t("board.step"),
            }
        if run["reliability"]:
            out[f"{run['name']}/reliability"] = {
                "kind": "reliability",
                "bins": run["reliability"],
                "title": t("board.calibration"),
            }
    return out


@router.get("/plots/{name}.svg")
async def plot(name: str, request: Request, visitor: Reader) -> Response:
    """A plot that a page was told of."""
    made = await _drawings(request).svg(name)
    if made is None:
        raise HTTPException(404, "there is no such plot")
    # As a picture in a page no script of it runs; its own styles must.
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
    return Response(made, media_type="image/svg+xml", headers={**headers, "Cache-Control": "private, max-age=3600"})


@router.get("/items/{number}")
async def item(number: int, request: Request, studio: TheStudio, visitor: Reader) -> Response:
    """An item with everything that was said of it."""
    if number not in studio.desk.items:
        raise HTTPException(404, f"there is no item {number}")
    found = item_shown(studio, number)
    policies_of = {one["id"]: one["policy"] for one in found["completions"]}
    for one in found["answers"]:
        one["words"] = _words(one["said"], policies_of)
    return page(request, visitor, "item.html", item=found, prompt=_prompt(studio, found["prompt"]))


def _words(said: dict[str, Any], policies_of: dict[str, str]) -> str:
    """What was said, with policies for completions: who reads this may know them."""
    chosen = said.get(str(said.get("choice")), said.get("choice"))
    known = {**said, "choice": chosen} if "choice" in said else said
    shown = {name: value for name, value in known.items() if name not in ("prompt_id", "a", "b") and value is not None}
    return "; ".join(f"{name}: {_named(value, policies_of)}" for name, value in shown.items())


def _named(value: Any, policies_of: dict[str, str]) -> str:
    if isinstance(value, list | tuple):
        within = " = ".join if not any(isinstance(one, list | tuple) for one in value) else " > ".join
        return within(_named(one, policies_of) for one in value)
    return policies_of.get(str(value), str(value))


def _prompt(studio: Studio, name: str) -> list[dict[str, Any]]:
    return [
        {"role": message.role, "parts": [part_of(studio, part) for part in message.parts]}
        for message in studio.prompt(name).messages
    ]


@router.get("/projects/{slug}")
async def project(slug: str, request: Request, studio: TheStudio, visitor: Reader, after: After = 0) -> Response:
    """A project's items, a hundred at a time."""
    found = project_of(studio, slug)
    turns = studio.desk.turns_by_item(found.id)
    every = [one for one in studio.desk.items.values() if one.project == found.id and one.id > after][:100]
    rows = [
        {
            "id": one.id,
            "form": one.form,
            "prompt": _begins(studio, one.prompt_id),
            "answers": _answered(turns.get(one.id, ())),
        }
        for one in every
    ]
    more = every[-1].id if len(every) == 100 else None
    told = about(studio, found, visitor.user.name)
    return page(request, visitor, "project.html", project=told, settings=found.settings, rows=rows, more=more)


def _begins(studio: Studio, name: str) -> str:
    """How a prompt begins; its id where it has no words."""
    parts = [part for message in studio.prompt(name).messages for part in message.parts]
    return " ".join(part.text for part in parts if isinstance(part, Text))[:120] or name


def _answered(turns: Any) -> int:
    return sum(turn.ended == "answered" for turn in turns)


@router.get("/people")
async def people(request: Request, studio: TheStudio, visitor: Admin) -> Response:
    """Who may enter."""
    tokens = studio.accounts.passes_of("token")
    return page(request, visitor, "people.html", users=studio.accounts.all(), tokens=tokens)


@router.get("/make")
async def make(request: Request, studio: TheStudio, visitor: Writer) -> Response:
    """A new project."""
    return page(request, visitor, "make.html", policies=policies(studio))
