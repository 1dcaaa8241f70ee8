"""What the dashboard counts: who said how much, how far people agree, which policy they prefer.

A person's answer to an item counts once, however often it was changed and however many criteria it grades. Questions
with known answers and repeats measure people, and are in no agreement and no leaderboard.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from harken.evaluate.leaderboard import leaderboard, meetings
from harken.feedback.agreement import Estimate, agreement_rate, alpha
from harken.feedback.desk.desk import Item, Turn
from harken.feedback.desk.gold import is_right
from harken.feedback.desk.settings import ProjectSettings
from harken.feedback.intake import read_completions
from harken.feedback.schema import annotators, answers, completions, remarks
from harken.feedback.store import FeedbackStore
from harken.feedback.tables import tables
from harken.studio.saying import turn_of
from harken.studio.state import Studio
from harken.types import Answer, Comparison, Completion

RESAMPLES = 400
"""Of the intervals of agreement: a page waits for them."""


@dataclass(frozen=True)
class View:
    """What is looked at.

    Attributes:
        project: answers to its items alone; None for all that the store holds.
        everybody: simulated annotators and models too, not people alone.
    """

    project: int | None = None
    everybody: bool = False


@dataclass(frozen=True)
class Desks:
    """The desk at one time, to be read by another thread."""

    turns: Mapping[str, Turn]
    items: Mapping[int, Item]
    settings: Mapping[int, ProjectSettings]


class Board:
    """The figures of a studio, counted anew only where something was said since."""

    def __init__(self, studio: Studio):
        self._studio = studio
        self._seen: dict[View, tuple[object, dict[str, Any]]] = {}

    def desks(self) -> Desks:
        """The desk as it is now; to be called where the desk is written."""
        desk = self._studio.desk
        settings = {project.id: project.settings for project in self._studio.projects.values()}
        return Desks(dict(desk.turns), dict(desk.items), settings)

    def look(self, view: View, desks: Desks) -> dict[str, Any]:
        """All figures of a view."""
        with self._studio.store.reading() as connection:
            newest = [connection.scalar(select(func.max(table.c.seq))) for table in (answers, remarks)]
        state = (newest, tuple(desks.settings.items()))
        if view not in self._seen or self._seen[view][0] != state:
            self._seen[view] = (state, figures(self._studio.store, view, desks))
        return self._seen[view][1]


def figures(store: FeedbackStore, view: View, desks: Desks) -> dict[str, Any]:
    """Answers by day, kind and annotator; agreement; standings by criterion."""
    said = [one for one in store.answers() if _shown(one.key, one.annotator_kind, view, desks)]
    asked = [one for one in said if _measures_models(one.key, desks)]
    with store.reading() as connection:
        made = {one.id: one for one in read_completions(connection, select(completions))}
        kinds = connection.execute(select(remarks.c.kind, remarks.c.item)).all()
    return {
        **_counted(store, view, desks),
        "gold": known_answers(said, desks),
        "remarks": Counter(kind for kind, item in kinds if view.project in (None, desks.items[item].project)),
        "agreement": agreement(asked, made),
        "places": standings(asked, made),
    }


def _counted(store: FeedbackStore, view: View, desks: Desks) -> dict[str, Any]:
    """Each answer at the time when it was first given."""
    days, kinds, quick = Counter[str](), Counter[str](), Counter[str]()
    each: dict[str, list[float | None]] = {}
    who: dict[str, str] = {}
    found = select(
        answers.c.key,
        func.date(answers.c.created_at).label("day"),
        answers.c.kind,
        answers.c.annotator,
        annotators.c.kind.label("who"),
        answers.c.seconds,
    )
    first = found.join(annotators).where(answers.c.amends.is_(None)).order_by(answers.c.seq)
    with store.reading() as connection:
        for row in connection.execute(first):
            turn = turn_of(row.key)
            if not _shown(row.key, row.who, view, desks) or (turn in desks.turns and turn != row.key):
                continue
            days[str(row.day)] += 1
            kinds[row.kind] += 1
            who[row.annotator] = row.who
            each.setdefault(row.annotator, []).append(row.seconds)
            quick[row.annotator] += row.seconds is not None and row.seconds < _quickest(turn, desks)
    known = {name: [s for s in several if s is not None] for name, several in each.items()}
    people = [
        {
            "name": name,
            "kind": who[name],
            "answers": len(several),
            "seconds": round(sum(known[name]) / len(known[name]), 1) if known[name] else None,
            "quick": quick[name],
        }
        for name, several in sorted(each.items(), key=lambda one: -len(one[1]))
    ]
    return {"days": dict(sorted(days.items())), "kinds": dict(kinds), "annotators": people}


def known_answers(said: list[Answer], desks: Desks) -> dict[str, tuple[int, int]]:
    """Of the questions with known answers, how many each annotator got right, and of how many; the last word counts."""
    out: dict[str, tuple[int, int]] = {}
    for answer in said:
        item = _item(answer.key, desks)
        # Of several criteria the first has the turn's own key, and is what is known.
        if item is not None and item.gold is not None and ":" not in answer.key:
            right, asked = out.get(answer.annotator, (0, 0))
            out[answer.annotator] = (right + is_right(item.gold, answer.feedback), asked + 1)
    return out


def agreement(said: list[Answer], made: Mapping[str, Completion]) -> list[dict[str, Any]]:
    """Of each kind and criterion that two people or more spoke about: equal answers, and Krippendorff's alpha."""
    out = []
    for table in tables(said, made):
        shared = len(table.shared_counts())
        if shared:
            found = {
                "rate": _interval(agreement_rate(table, RESAMPLES)),
                "alpha": _interval(alpha(table, "ordinal" if table.graded else "nominal", RESAMPLES)),
            }
            out.append({"kind": table.kind, "criterion": table.criterion, "shared": shared, **found})
    return out


def standings(said: list[Answer], made: Mapping[str, Completion]) -> dict[str, list[dict[str, Any]]]:
    """Policies by what was preferred, for each criterion."""
    by: dict[str, list[Answer]] = {}
    for answer in said:
        if isinstance(answer.feedback, Comparison):
            by.setdefault(answer.feedback.criterion, []).append(answer)
    found = {name: [asdict(one) for one in leaderboard(meetings(several, made))] for name, several in by.items()}
    return {name: places for name, places in found.items() if places}


def policies(studio: Studio) -> dict[str, int]:
    """Who wrote how many completions; whose came last is first."""
    newest = func.max(completions.c.seq).desc()
    query = select(completions.c.policy, func.count()).group_by(completions.c.policy).order_by(newest)
    with studio.store.reading() as connection:
        found = connection.execute(query.where(~completions.c.policy.startswith("annotator:"))).all()
    return {name: n for name, n in found}


def _interval(found: Estimate) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else value for value in (found.value, found.low, found.high))


def _item(key: str, desks: Desks) -> Item | None:
    turn = desks.turns.get(turn_of(key))
    return None if turn is None else desks.items.get(turn.item)


def _shown(key: str, who: str, view: View, desks: Desks) -> bool:
    item = _item(key, desks)
    here = view.project is None or (item is not None and item.project == view.project)
    return here and (view.everybody or who == "human")


def _measures_models(key: str, desks: Desks) -> bool:
    item, turn = _item(key, desks), desks.turns.get(turn_of(key))
    return item is None or turn is None or (item.gold is None and not turn.repeat)


def _quickest(turn: str, desks: Desks) -> float:
    item = _item(turn, desks)
    return desks.settings[item.project].quick_seconds if item is not None and item.project in desks.settings else 0.0
