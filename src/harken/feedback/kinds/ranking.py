"""Completions in order, with ties; those below the last tier were shown and not ranked (top-k)."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from harken.feedback.strict import OVERALL, fields, known, named
from harken.types import Completion, Ranking


def check(said: Ranking, completions: Mapping[str, Completion]) -> None:
    """Refuse a ranking that makes no sense.

    Raises:
        ValueError: if a tier is empty, a completion is unknown, of another prompt or named twice, or there
            are fewer than two.
    """
    names = [name for tier in said.tiers for name in tier] + list(said.rest)
    if not said.tiers or any(not tier for tier in said.tiers):
        raise ValueError(f"ranking of prompt {said.prompt_id!r}: each tier needs at least one completion")
    for name in names:
        known(name, said.prompt_id, "ranking", completions)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"ranking of prompt {said.prompt_id!r}: completion {twice[0]!r} stands in it twice")
    if len(names) < 2:
        raise ValueError(f"ranking of prompt {said.prompt_id!r}: at least two completions are needed")
    named(said.criterion, f"ranking of prompt {said.prompt_id!r}")


def to_json(said: Ranking) -> dict[str, Any]:
    """As plain data; the criterion is left out where there is but one."""
    out = {"prompt_id": said.prompt_id, "tiers": [list(tier) for tier in said.tiers], "rest": list(said.rest)}
    return out if said.criterion == OVERALL else {**out, "criterion": said.criterion}


def from_json(value: Mapping[str, Any]) -> Ranking:
    """From plain data.

    Raises:
        ValueError: if it is not exactly a ranking.
    """
    read = fields(value, "ranking", {"prompt_id": str, "tiers": list, "rest": list}, {"criterion": str})
    for tier in [*read["tiers"], read["rest"]]:
        if not isinstance(tier, list) or not all(isinstance(name, str) for name in tier):
            raise ValueError(f"ranking: tiers and rest are lists of completion ids, not {tier!r}")
    tiers = tuple(tuple(tier) for tier in read["tiers"])
    return Ranking(read["prompt_id"], tiers, tuple(read["rest"]), read.get("criterion", OVERALL))


def pairs(said: Ranking) -> list[tuple[str, str]]:
    """(better, worse) of every two tiers, the unranked below all."""
    tiers = [*said.tiers, *([said.rest] if said.rest else [])]
    return [(a, b) for upper, lower in combinations(tiers, 2) for a in upper for b in lower]
