"""The dashboard: what answers do, and how runs are doing; its plots."""

from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from harken.feedback.exchange.names import NAMES
from harken.studio.api.deps import TheStudio, project_of
from harken.studio.api.projects import about
from harken.studio.board import Board, View
from harken.studio.drawing import Drawings
from harken.studio.pages.render import Reader, page, speaker
from harken.studio.runs import runs
from harken.studio.state import Studio

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
