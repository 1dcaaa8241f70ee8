"""Rounds of kill -9 under load: what was acknowledged is there, once, and the studio goes on."""

import asyncio
import random
from collections import Counter
from pathlib import Path

from benchmarks.studio.load import Told, run
from benchmarks.studio.server import fill, start, tokens_for
from benchmarks.studio.wire import Wire
from harken.feedback.store import FeedbackStore

OVERLAP = 3
SLUG = "kills"


def kill_rounds(
    place: str, folder: Path, rounds: int, clients: int, seed: int, shortest: float = 0.1
) -> dict[str, int]:
    """Kill a studio again and again while people answer, then let them finish.

    Args:
        place: its database.
        folder: its media and log.
        rounds: of killing.
        clients: that answer at once, each an annotator.
        seed: of the moments.
        shortest: seconds before a kill, at least; at most ten times as many.

    Returns:
        `acknowledged`, `stored`, `lost`, `doubled`, `over` (items answered by more people than were asked for, or
        twice by one), `stuck` (items that nobody can finish) and `rounds`.
    """
    chance = random.Random(seed)
    # More than is answered before the last kill, so that each finds people at work.
    fill(place, 300 * rounds)
    tokens = tokens_for(place, [f"ann{n}" for n in range(clients)])
    kept: list[str] = []
    for number in range(rounds):
        server = start(place, folder)
        try:
            told = asyncio.run(_round(server.port, tokens, number == 0, server, chance.uniform(1, 10) * shortest))
        finally:
            server.kill()
        kept += told.kept
    server = start(place, folder)
    try:
        last = asyncio.run(run(server.port, tokens, SLUG, 600.0, release=True))
        left = asyncio.run(_left(server.port, tokens[0]))
    finally:
        server.stop()
    return {"rounds": rounds, "stuck": left, **_count(place, kept + last.kept)}


async def _round(port: int, tokens: list[str], first: bool, server: object, seconds: float) -> Told:
    """Clients until the kill; those that were answered before it count."""
    if first:
        settings = {"title": SLUG, "overlap": OVERLAP}
        await Wire(port, tokens[0]).send("POST", "/api/v1/projects", {"settings": settings})
    told = Told()
    work = asyncio.create_task(run(port, tokens, SLUG, 60.0, told))
    await asyncio.sleep(seconds)
    server.kill()  # type: ignore[attr-defined]
    await work
    return told


async def _left(port: int, token: str) -> int:
    found = await Wire(port, token).send("GET", f"/api/v1/projects/{SLUG}")
    return int(found["left"])


def _count(place: str, kept: list[str]) -> dict[str, int]:
    with FeedbackStore(place) as store:
        stored = store.answers(amended=True)
    keys = Counter(answer.key for answer in stored)
    people: dict[frozenset[str], list[str]] = {}
    for answer in stored:
        people.setdefault(frozenset((answer.feedback.a, answer.feedback.b)), []).append(answer.annotator)  # type: ignore[union-attr]
    over = sum(len(who) > OVERLAP or len(set(who)) < len(who) for who in people.values())
    return {
        "acknowledged": len(set(kept)),
        "stored": len(stored),
        "lost": sum(key not in keys for key in set(kept)),
        "doubled": sum(count > 1 for count in keys.values()),
        "over": over,
    }
