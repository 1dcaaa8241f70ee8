"""The desk on the disk: projects, items, turns and remarks, read at the start and written as they change."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, bindparam, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from harken.feedback.database import StoreError
from harken.feedback.desk.desk import Desk, Ended, Item, Turn
from harken.feedback.desk.settings import ProjectSettings
from harken.feedback.intake import Intake, Known
from harken.feedback.schema import items, projects, remarks, turns
from harken.types import Answer

SETTINGS = TypeAdapter(ProjectSettings)


@dataclass(frozen=True)
class Project:
    """A project as the store has it."""

    id: int
    slug: str
    settings: ProjectSettings


@dataclass(frozen=True)
class Remark:
    """What somebody said of an item besides: a flag, a comment, or why it was skipped.

    Attributes:
        key: unique; the first of a key stays.
        item: of which.
        annotator: who.
        kind: `flag`, `comment` or `skip`.
        text: in their words; may be empty.
    """

    key: str
    item: int
    annotator: str
    kind: str
    text: str


@dataclass(frozen=True)
class Said:
    """What comes of one turn, to be written in one transaction.

    Attributes:
        turn: the turn's key.
        ended: how it ended.
        amended: how often the answer has been amended with this.
        answers: of a rating with several criteria several; none where it was skipped.
        remarks: besides.
    """

    turn: str
    ended: Ended
    amended: int
    answers: tuple[Answer, ...]
    remarks: tuple[Remark, ...]


def load_desk(connection: Connection) -> tuple[Desk, dict[str, Project]]:
    """The desk as the store has it; times become those of this process's clock."""
    desk = Desk()
    found = read_projects(connection)
    for project in found.values():
        desk.set_project(project.id, project.settings)
    desk.add_items(read_items(connection))
    ahead, clock = time.time(), time.monotonic()
    for row in connection.execute(select(turns).order_by(turns.c.key)):
        # A clock that was set back must not make a lease longer than leases are.
        lease = desk.settings(desk.items[row.item].project).lease_seconds
        until = clock + min(row.until - ahead, lease)
        desk.restore(Turn(row.key, row.item, row.annotator, row.repeat, row.tab, until, row.ended, row.amended))
    return desk, found


def read_projects(connection: Connection) -> dict[str, Project]:
    """All projects, by slug."""
    rows = connection.execute(select(projects).order_by(projects.c.id))
    return {r.slug: Project(r.id, r.slug, SETTINGS.validate_python(r.settings)) for r in rows}


def read_items(connection: Connection, after: int = 0) -> list[Item]:
    """Items, those with an id above `after`."""
    rows = connection.execute(select(items).where(items.c.id > after).order_by(items.c.id))
    return [Item(r.id, r.project, r.form, r.prompt_id, tuple(r.completions), r.place, r.gold) for r in rows]


def add_project(connection: Connection, slug: str, settings: ProjectSettings) -> Project:
    """A new project.

    Raises:
        StoreError: if the slug is taken.
    """
    if connection.scalar(select(projects.c.id).where(projects.c.slug == slug)) is not None:
        raise StoreError(f"there is a project {slug!r} already; give the new one another title")
    told = {"slug": slug, "settings": asdict(settings), "created_at": datetime.now(UTC)}
    made = connection.execute(insert(projects), told)
    assert made.inserted_primary_key is not None
    return Project(int(made.inserted_primary_key[0]), slug, settings)


def change_project(connection: Connection, project: Project, settings: ProjectSettings) -> Project:
    """A project that says something else from now on."""
    connection.execute(update(projects).where(projects.c.id == project.id).values(settings=asdict(settings)))
    return Project(project.id, project.slug, settings)


@dataclass(frozen=True)
class NewItem:
    """An item to be; adding it twice adds it once."""

    form: str
    prompt_id: str
    completions: tuple[str, ...]
    place: float
    gold: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The same for the same question."""
        shown = sorted(self.completions) if self.form == "comparison" else self.completions
        return sha256(
            json.dumps([*(["gold"] if self.gold else []), self.form, self.prompt_id, *shown]).encode()
        ).hexdigest()


def add_items(connection: Connection, project: Project, new: Iterable[NewItem]) -> int:
    """Add items that are not there yet.

    Returns:
        how many were added.
    """
    there = set(connection.scalars(select(items.c.name).where(items.c.project == project.id)))
    rows: dict[str, dict[str, Any]] = {}
    for one in new:
        if one.name not in there:
            rows.setdefault(
                one.name,
                {
                    "project": project.id,
                    "name": one.name,
                    "form": one.form,
                    "prompt_id": one.prompt_id,
                    "completions": list(one.completions),
                    "place": one.place,
                    "gold": one.gold,
                },
            )
    if rows:
        connection.execute(insert(items), list(rows.values()))
    return len(rows)


def move_items(connection: Connection, places: Mapping[int, float]) -> None:
    """Give items other places."""
    rows = [{"item": item, "to": place} for item, place in places.items()]
    if rows:
        change = update(items).where(items.c.id == bindparam("item")).values(place=bindparam("to"))
        connection.execute(change, rows)


def write_turns(connection: Connection, requests: Sequence[Sequence[Turn]]) -> list[None]:
    """Keep turns that were given, or given back (`GroupCommit`'s work)."""
    ahead = time.time() - time.monotonic()
    rows = [
        {
            "key": t.key,
            "item": t.item,
            "annotator": t.annotator,
            "repeat": t.repeat,
            "tab": t.tab,
            "until": t.until + ahead,
            "ended": t.ended,
            "amended": t.amended,
        }
        for several in requests
        for t in several
    ]
    if rows:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        added = dialect.insert(turns)
        fresh = {name: added.excluded[name] for name in ("tab", "until", "ended")}
        # What was answered or skipped stays so, also where a window asks for items while its answer is on its way.
        open_still = or_(turns.c.ended.is_(None), turns.c.ended == "returned")
        added = added.on_conflict_do_update(index_elements=[turns.c.key], set_=fresh, where=open_still)
        connection.execute(added, rows)
    return [None] * len(requests)


def write_said(connection: Connection, requests: Sequence[Said], known: Known | None = None) -> list[Any]:
    """Keep what was said, each request whole or not at all (`GroupCommit`'s work).

    Args:
        connection: in a transaction that writes.
        requests: what was said.
        known: what need not be asked for.

    Returns:
        for each the answers that the store holds under their keys, or the error by which it is refused.
    """
    intake = Intake(connection, [answer for one in requests for answer in one.answers], known)
    results: list[Any] = []
    kept: list[Said] = []
    for one in requests:
        try:
            results.append(intake.take_all(one.answers))
            kept.append(one)
        except ValueError as refused:
            results.append(refused)
    intake.write()
    _write_remarks(connection, [remark for one in kept for remark in one.remarks])
    ended = [{"turn": one.turn, "how": one.ended, "times": one.amended} for one in kept]
    if ended:
        change = (
            update(turns)
            .where(turns.c.key == bindparam("turn"))
            .values(ended=bindparam("how"), amended=bindparam("times"))
        )
        connection.execute(change, ended)
    return results


def _write_remarks(connection: Connection, given: Sequence[Remark]) -> None:
    rows = {r.key: {**asdict(r), "created_at": datetime.now(UTC)} for r in given}
    there = set(connection.scalars(select(remarks.c.key).where(remarks.c.key.in_(rows)))) if rows else set()
    if fresh := [row for key, row in rows.items() if key not in there]:
        connection.execute(insert(remarks), fresh)
