"""Shapley values: what each player added, on average over all orders of arrival (Shapley 1953; 1705.07874, eq. 4)."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial

Coalition = frozenset[str]


def coalitions(players: Sequence[str]) -> list[Coalition]:
    """All 2^k sets of k players, the empty one first."""
    return [frozenset(some) for size in range(len(players) + 1) for some in combinations(players, size)]


def shapley(values: Mapping[Coalition, float], players: Sequence[str]) -> dict[str, float]:
    """The exact Shapley value of each player; they add up to the value of all less that of none.

    Args:
        values: of every coalition.
        players: k of them.
    """
    count = len(players)
    out = {}
    for player in players:
        others = [name for name in players if name != player]
        out[player] = sum(
            factorial(len(some))
            * factorial(count - len(some) - 1)
            / factorial(count)
            * (values[some | {player}] - values[some])
            for some in coalitions(others)
        )
    return out
