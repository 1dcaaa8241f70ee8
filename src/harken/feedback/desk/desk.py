"""Who holds which item: overlap kept exactly, nobody twice on an item, and what is left comes round again.

All in memory, for one process that owns the store; `desk/keeping.py` reads and writes it. Times are seconds of a clock
that never goes back (`time.monotonic`).
"""

import heapq
import secrets
import time
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

from harken.feedback.desk.settings import Form, ProjectSettings

Ended = Literal["answered", "skipped", "returned"]
APART = 10
"""Turns between an item and its repeat, at least."""
MOST = 50
"""Items that one tab may hold."""


@dataclass(frozen=True, slots=True)
class Item:
    """A question.

    Attributes:
        id: in the store.
        project: its project's id.
        form: how it is asked.
        prompt_id: the prompt that is shown.
        completions: ids of those that are shown.
        place: items of lower places are given first.
        gold: the known answer, as the store's JSON of it; None for a real question.
    """

    id: int
    project: int
    form: Form
    prompt_id: str
    completions: tuple[str, ...]
    place: float
    gold: dict[str, object] | None = None


@dataclass(slots=True)
class Turn:
    """An item in somebody's hands, or what became of it.

    Attributes:
        key: becomes the answer's key.
        item: which.
        annotator: who.
        repeat: 0 the first time, 1 where it is asked again.
        tab: in which of their windows.
        until: when it is given to others.
        ended: how it ended; None while they have it.
        amended: how often its answer was amended.
    """

    key: str
    item: int
    annotator: str
    repeat: int
    tab: str
    until: float
    ended: Ended | None = None
    amended: int = 0


@dataclass
class _Project:
    settings: ProjectSettings
    order: list[tuple[float, int]] = field(default_factory=list)
    gold: list[int] = field(default_factory=list)
    reached: dict[str, int] = field(default_factory=dict)
    turns: dict[str, list[str]] = field(default_factory=dict)
    held: dict[str, dict[str, None]] = field(default_factory=dict)
    ended: dict[str, dict[str, None]] = field(default_factory=dict)
    given: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    done: int = 0


class Desk:
    """Items of all projects, and their turns."""

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.turns: dict[str, Turn] = {}
        self._projects: dict[int, _Project] = {}
        self._holders: dict[int, dict[str, list[str]]] = {}
        self._counted: Counter[int] = Counter()
        self._answers: Counter[int] = Counter()
        self._ends: list[tuple[float, str]] = []

    def set_project(self, project: int, settings: ProjectSettings) -> None:
        """Open a project, or change what it says."""
        if project in self._projects:
            where = self._projects[project]
            where.settings = settings
            where.reached.clear()
            where.done = sum(min(self._answers[item], settings.overlap) for _, item in where.order)
        else:
            self._projects[project] = _Project(settings)

    def has_project(self, project: int) -> bool:
        """Whether it is on the desk."""
        return project in self._projects

    def settings(self, project: int) -> ProjectSettings:
        """What a project says."""
        return self._projects[project].settings

    def add_items(self, items: Iterable[Item]) -> None:
        """Add items; those that are there are left as they are."""
        for item in items:
            if item.id in self.items:
                continue
            self.items[item.id] = item
            self._holders[item.id] = {}
            where = self._projects[item.project]
            if item.gold is not None:
                where.gold.append(item.id)
            else:
                insort(where.order, (item.place, item.id))
                where.reached.clear()

    def move(self, places: Mapping[int, float]) -> None:
        """Give items other places; what is in somebody's hands stays there."""
        touched = {self.items[item].project for item in places}
        for item, place in places.items():
            self.items[item] = replace(self.items[item], place=place)
        for where in (self._projects[project] for project in touched):
            where.order = sorted((self.items[item].place, item) for _, item in where.order)
            where.reached.clear()

    def wanting(self, project: int) -> list[Item]:
        """Items that still want answers, those in somebody's hands included; known answers aside."""
        where = self._projects[project]
        return [self.items[item] for _, item in where.order if self._answers[item] < where.settings.overlap]

    def restore(self, turn: Turn) -> None:
        """Put back a turn that was given before."""
        self._take(turn)
        if turn.ended is None:
            heapq.heappush(self._ends, (turn.until, turn.key))

    def give(
        self, project: int, annotator: str, tab: str, holding: Collection[str], want: int, now: float
    ) -> tuple[list[Turn], list[Turn]]:
        """Items for somebody's window.

        Args:
            project: of which.
            annotator: for whom.
            tab: the window; what it was given and does not hold (it was loaded anew) is given again.
            holding: keys that the window has; they stay its own for another lease.
            want: how many in all it should hold.
            now: the time.

        Returns:
            what is given: turns that are new, or that the window had; and what is to be kept: the new ones, and those
            whose lease grew by much.
        """
        self.expire(now)
        where = self._projects[project]
        until = now + where.settings.lease_seconds
        mine = [t for key in where.held.get(annotator, ()) if (t := self.turns[key]).tab == tab]
        again = [turn for turn in mine if turn.key not in holding]
        # Not at each answer: what is kept of a lease may be shorter than it is, by a quarter at most.
        grown = [turn for turn in mine if turn.until - now < 0.75 * where.settings.lease_seconds]
        for turn in grown:
            turn.until = until
            heapq.heappush(self._ends, (until, turn.key))
        new: list[Turn] = []
        allowed = where.settings.open and (not where.settings.annotators or annotator in where.settings.annotators)
        room = min(want, MOST) - len(again) - len(holding)
        while allowed and len(new) < room:
            found = self._next(where, annotator)
            if found is None:
                break
            turn = self._turn(*found, annotator)
            turn.tab, turn.until = tab, until
            heapq.heappush(self._ends, (turn.until, turn.key))
            new.append(turn)
        return again + new, grown + new

    def end(self, key: str, how: Ended) -> None:
        """An item was answered, skipped or given back. An answer that comes after all counts."""
        turn = self.turns[key]
        self._count(turn, -1)
        turn.ended = how
        self._count(turn, 1)
        if how != "answered" and not turn.repeat:
            self._reopen(turn.item)

    def expire(self, now: float) -> list[Turn]:
        """Take back what was held too long."""
        out = []
        while self._ends and self._ends[0][0] <= now:
            _, key = heapq.heappop(self._ends)
            turn = self.turns[key]
            if turn.ended is None and turn.until <= now:
                self.end(key, "returned")
                out.append(turn)
        return out

    def release(self, annotator: str, tab: str) -> list[Turn]:
        """Take back what a window holds."""
        found = [
            turn
            for where in self._projects.values()
            for key in where.held.get(annotator, ())
            if (turn := self.turns[key]).tab == tab
        ]
        for turn in found:
            self.end(turn.key, "returned")
        return found

    def left(self, project: int) -> int:
        """Answers that are still wanted, those that are in somebody's hands included."""
        where = self._projects[project]
        return where.settings.overlap * len(where.order) - where.done

    def done_by(self, project: int, annotator: str) -> int:
        """How many answers somebody gave."""
        return self._projects[project].answered[annotator]

    def size(self, project: int) -> int:
        """How many items a project has, questions with known answers aside."""
        return len(self._projects[project].order)

    def last_of(self, project: int, annotator: str, count: int) -> list[Turn]:
        """What somebody answered or skipped last, the newest first; after a start, in the order of being given."""
        mine = self._projects[project].ended.get(annotator, {})
        return [self.turns[key] for key in islice(reversed(mine), count)]

    def turns_at(self, item: int) -> list[Turn]:
        """All turns of an item."""
        return [self.turns[key] for keys in self._holders[item].values() for key in keys]

    def answered(self, item: int) -> int:
        """How many answered an item, repeats too."""
        return sum(turn.ended == "answered" for turn in self.turns_at(item))

    def _turn(self, item: int, repeat: int, annotator: str) -> Turn:
        """A turn that begins: the one that was given back, or a new one."""
        for key in self._holders[item].get(annotator, ()):
            turn = self.turns[key]
            if turn.repeat == repeat:
                self._count(turn, -1)
                turn.ended = None
                self._count(turn, 1)
                return turn
        # The time first, so that after a start turns are read in the order in which they were given.
        turn = Turn(f"{time.time_ns():016x}{secrets.token_hex(12)}", item, annotator, repeat, "", 0.0)
        self._take(turn)
        return turn

    def _take(self, turn: Turn) -> None:
        self.turns[turn.key] = turn
        self._holders[turn.item].setdefault(turn.annotator, []).append(turn.key)
        self._projects[self.items[turn.item].project].turns.setdefault(turn.annotator, []).append(turn.key)
        self._count(turn, 1)

    def _count(self, turn: Turn, by: int) -> None:
        """Add a turn, as it stands, to all counts, or take it from them."""
        where = self._projects[self.items[turn.item].project]
        for among, there in ((where.held, turn.ended is None), (where.ended, turn.ended in ("answered", "skipped"))):
            mine = among.setdefault(turn.annotator, {})
            mine.pop(turn.key, None)
            if by > 0 and there:
                mine[turn.key] = None
        where.given[turn.annotator] += by * (turn.ended != "returned")
        where.answered[turn.annotator] += by * (turn.ended == "answered")
        if turn.repeat or self.items[turn.item].gold is not None:
            return
        self._counted[turn.item] += by * (turn.ended in (None, "answered"))
        if turn.ended == "answered":
            before = min(self._answers[turn.item], where.settings.overlap)
            self._answers[turn.item] += by
            where.done += min(self._answers[turn.item], where.settings.overlap) - before

    def _next(self, where: _Project, annotator: str) -> tuple[int, int] | None:
        had = where.turns.get(annotator, [])
        turn = where.given[annotator] + 1
        settings = where.settings
        if settings.gold_every and turn % settings.gold_every == 0:
            for item in where.gold:
                if self._may(item, annotator):
                    return item, 0
        if settings.repeat_every and turn % settings.repeat_every == 0:
            again = self._to_repeat(had)
            if again is not None:
                return again, 1
        start = where.reached.get(annotator, 0)
        for at in range(start, len(where.order)):
            item = where.order[at][1]
            if self._counted[item] < settings.overlap and self._may(item, annotator):
                where.reached[annotator] = at
                return item, 0
        where.reached[annotator] = len(where.order)
        return None

    def _may(self, item: int, annotator: str) -> bool:
        """Whether somebody can be given an item: never had it, or gave it back unanswered."""
        keys = self._holders[item].get(annotator, ())
        return all(self.turns[key].ended == "returned" for key in keys)

    def _to_repeat(self, had: list[str]) -> int | None:
        repeated = {self.turns[key].item for key in had if self.turns[key].repeat}
        for key in had[:-APART]:
            turn = self.turns[key]
            gold = self.items[turn.item].gold is not None
            if turn.ended == "answered" and turn.item not in repeated and not gold:
                return turn.item
        return None

    def _reopen(self, item: int) -> None:
        where = self._projects[self.items[item].project]
        low = bisect_left(where.order, (self.items[item].place, item))
        for annotator, reached in where.reached.items():
            if reached > low:
                where.reached[annotator] = low
