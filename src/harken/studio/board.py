"""What the dashboard shows, counted from the store."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from harken.evaluate.leaderboard import leaderboard, meetings
from harken.feedback.desk.gold import is_right
from harken.feedback.schema import annotators, answers, completions, remarks
from harken.studio.saying import turn_of
from harken.studio.state import Studio
from harken.types import Completion

NEWEST = 20
"""Runs that are shown."""
POINTS = 200
"""Of a curve."""


def overview(studio: Studio) -> dict[str, Any]:
    """Answers by day, annotator and kind; who is a person and who is not."""
    day = func.date(answers.c.created_at)
    with studio.store.reading() as connection:
        days = connection.execute(select(day, func.count()).group_by(day).order_by(day)).all()
        kinds = connection.execute(select(answers.c.kind, func.count()).group_by(answers.c.kind)).all()
        who = connection.execute(
            select(answers.c.annotator, annotators.c.kind, func.count(), func.avg(answers.c.seconds))
            .join(annotators)
            .group_by(answers.c.annotator, annotators.c.kind)
            .order_by(func.count().desc())
        ).all()
        said = connection.execute(select(remarks.c.kind, func.count()).group_by(remarks.c.kind)).all()
    return {
        "days": [{"day": str(d), "answers": n} for d, n in days],
        "kinds": {kind: n for kind, n in kinds},
        "annotators": [
            {"name": name, "kind": kind, "answers": n, "seconds": None if mean is None else round(float(mean), 1)}
            for name, kind, n, mean in who
        ],
        "remarks": {kind: n for kind, n in said},
        "quick": quick(studio),
        "gold": known_answers(studio),
    }


def quick(studio: Studio) -> dict[str, int]:
    """How many answers each annotator gave in less time than their project takes for thinking."""
    out: Counter[str] = Counter()
    limits = {
        turn.key: studio.desk.settings(studio.desk.items[turn.item].project) for turn in studio.desk.turns.values()
    }
    query = select(answers.c.key, answers.c.annotator, answers.c.seconds).where(answers.c.seconds.is_not(None))
    with studio.store.reading() as connection:
        for key, who, seconds in connection.execute(query):
            settings = limits.get(turn_of(key))
            out[who] += settings is not None and seconds < settings.quick_seconds
    return {name: n for name, n in out.items() if n}


def known_answers(studio: Studio) -> dict[str, tuple[int, int]]:
    """Of the questions with known answers, how many each annotator got right, and of how many."""
    gold = {t.key: g for t in studio.desk.turns.values() if (g := studio.desk.items[t.item].gold) and t.ended}
    out: dict[str, tuple[int, int]] = {}
    for answer in studio.store.answers_with(sorted(gold)):
        right, asked = out.get(answer.annotator, (0, 0))
        out[answer.annotator] = (right + is_right(gold[answer.key], answer.feedback), asked + 1)
    return out


def standings(studio: Studio) -> list[dict[str, Any]]:
    """Policies by what people preferred."""
    with studio.store.reading() as connection:
        rows = connection.execute(select(completions.c.id, completions.c.prompt_id, completions.c.policy))
        made: Mapping[str, Completion] = {r.id: Completion(r.id, r.prompt_id, "", r.policy) for r in rows}
    return [asdict(one) for one in leaderboard(meetings(studio.store.answers("comparison"), made))]


def policies(studio: Studio) -> dict[str, int]:
    """Who wrote how many completions."""
    query = select(completions.c.policy, func.count()).group_by(completions.c.policy).order_by(completions.c.policy)
    with studio.store.reading() as connection:
        found = connection.execute(query.where(~completions.c.policy.startswith("annotator:"))).all()
    return {name: n for name, n in found}


def runs(folder: Path) -> list[dict[str, Any]]:
    """The newest runs beside the studio's folder, with what their evaluations say."""
    found = sorted(folder.glob("*/run.json"), key=lambda path: path.stat().st_mtime, reverse=True)[:NEWEST]
    return [_run(path.parent) for path in found]


def _run(folder: Path) -> dict[str, Any]:
    found = _json(folder / "evaluation.json")
    return {"name": folder.name, "evaluation": found if isinstance(found, dict) else {}, "curves": curves(folder)}


def curves(folder: Path) -> list[dict[str, Any]]:
    """Reward, divergence and loss by step, as far as a run has come."""
    wanted = ("reward", "loss", "kl", "accuracy")
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        for text in file:
            try:
                row = json.loads(text)
            except ValueError:
                continue  # the line that is being written now
            for name in wanted:
                value = row.get(name)
                if isinstance(value, int | float) and isinstance(row.get("step"), int):
                    lines.setdefault((str(row.get("stage", "")), name), []).append((float(row["step"]), float(value)))
    return [
        {"stage": stage, "name": name, "x": [x for x, _ in _thin(line)], "y": [y for _, y in _thin(line)]}
        for (stage, name), line in lines.items()
        if len(line) > 1
    ]


def _thin(line: list[tuple[float, float]]) -> list[tuple[float, float]]:
    every = max(1, len(line) // POINTS)
    return line[::every]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
