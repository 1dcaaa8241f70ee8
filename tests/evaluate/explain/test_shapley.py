from itertools import permutations

import numpy as np
import pytest

from harken.evaluate.explain.shapley import coalitions, shapley

PLAYERS = ("image", "audio", "numbers", "words")


def by_orders(values, players):
    """The definition: what each added when it came, on average over all orders of coming."""
    orders = list(permutations(players))
    out = dict.fromkeys(players, 0.0)
    for order in orders:
        for n, player in enumerate(order):
            out[player] += values[frozenset(order[: n + 1])] - values[frozenset(order[:n])]
    return {player: total / len(orders) for player, total in out.items()}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_exact_values_are_those_of_all_orders(count):
    players = PLAYERS[:count]
    rng = np.random.default_rng(count)
    values = {some: float(rng.normal()) for some in coalitions(players)}
    found = shapley(values, players)
    assert found == pytest.approx(by_orders(values, players), abs=1e-12)
    assert sum(found.values()) == pytest.approx(values[frozenset(players)] - values[frozenset()], abs=1e-12)


def test_who_adds_nothing_gets_nothing_and_equals_get_the_same():
    values = {some: 2.0 * ("image" in some and "words" in some) for some in coalitions(PLAYERS)}
    assert shapley(values, PLAYERS) == pytest.approx({"image": 1.0, "audio": 0.0, "numbers": 0.0, "words": 1.0})


def test_every_set_once():
    some = coalitions(PLAYERS)
    assert len(some) == len(set(some)) == 16
    assert some[0] == frozenset()
