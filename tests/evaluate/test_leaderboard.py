"""Bradley-Terry against a plain reading; intervals; the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from harken.evaluate.leaderboard import Met, leaderboard, meetings, strengths
from harken.types import Answer, Comparison, Completion


def plain(wins: np.ndarray) -> np.ndarray:
    """The likelihood as it is written, climbed by a general method."""
    k = len(wins)

    def loss(s):
        total = 0.0
        for i in range(k):
            for j in range(k):
                if i != j:
                    total -= wins[i, j] * np.log(np.exp(s[i]) / (np.exp(s[i]) + np.exp(s[j])))
        return total + 1e-9 * (s**2).sum()

    found = minimize(loss, np.zeros(k), method="BFGS", options={"gtol": 1e-9}).x
    return found - found.mean()


@settings(max_examples=20)
@given(st.integers(2, 5), st.integers(0, 1000))
def test_strengths_are_those_of_a_plain_reading(k, seed):
    chance = np.random.default_rng(seed)
    wins = chance.integers(0, 30, (k, k)).astype(float)
    np.fill_diagonal(wins, 0)
    met = np.ones((k, k), dtype=bool)
    found = strengths(wins[None], met)[0]
    assert found == pytest.approx(plain(wins + 0.5 * (1 - np.eye(k))), abs=1e-4)


def games(truth: dict[str, float], prompts: int, seed: int) -> list[Met]:
    chance = np.random.default_rng(seed)
    names = list(truth)
    out = []
    for n in range(prompts):
        a, b = chance.choice(names, 2, replace=False)
        odds = 1 / (1 + np.exp(truth[b] - truth[a]))
        out.append(Met(a, b, float(chance.random() < odds), f"p{n}"))
    return out


def test_the_order_is_found_and_the_interval_holds_the_truth_most_often():
    truth = {"a": 1.0, "b": 0.0, "c": -1.0}
    held = 0
    for seed in range(20):
        found = leaderboard(games(truth, 300, seed), seed=seed, resamples=200)
        assert [one.policy for one in found] == ["a", "b", "c"]
        held += all(one.low <= 1000 + 400 / np.log(10) * truth[one.policy] <= one.high for one in found)
    assert held >= 14


def test_the_same_seed_gives_the_same_and_a_name_is_not_a_place():
    met = games({"a": 0.5, "b": 0.0, "c": -0.5}, 80, 3)
    assert leaderboard(met, 1) == leaderboard(list(met), 1)
    other = [
        Met({"a": "z", "b": "y", "c": "x"}[m.first], {"a": "z", "b": "y", "c": "x"}[m.second], m.won, m.cluster)
        for m in met
    ]
    assert [round(s.rating, 6) for s in leaderboard(met)] == [round(s.rating, 6) for s in leaderboard(other)]


def test_who_won_everything_is_strong_and_not_infinite():
    [best, worst] = leaderboard([Met("a", "b", 1.0, f"p{n}") for n in range(10)])
    assert best.policy == "a"
    assert best.win_rate == 1.0
    assert np.isfinite([best.rating, worst.rating, best.low, best.high]).all()
    assert leaderboard([]) == []


def test_of_few_comparisons_no_interval_is_given():
    for one in leaderboard([Met("a", "b", 1.0, f"p{n}") for n in range(9)]):
        assert (one.low, one.high) == (None, None)


def test_ties_and_both_bad_are_half_and_one_policy_against_itself_says_nothing():
    made = {name: Completion(name, "p", name, policy) for name, policy in [("x", "one"), ("y", "two"), ("z", "one")]}
    said = [
        Answer("1", "ann", "human", Comparison("p", "x", "y", "tie")),
        Answer("2", "ann", "human", Comparison("p", "x", "y", "both_bad")),
        Answer("3", "crowd", "human", Comparison("p", "y", "x", "a"), count=3),
        Answer("4", "ann", "human", Comparison("p", "x", "z", "a")),
    ]
    met = meetings(said, made)
    assert [(m.first, m.second, m.won, m.count) for m in met] == [
        ("one", "two", 0.5, 1),
        ("one", "two", 0.5, 1),
        ("two", "one", 1.0, 3),
    ]
    [two, one] = leaderboard(met)
    assert (two.policy, two.comparisons, two.win_rate) == ("two", 5, 0.8)
    assert one.win_rate == pytest.approx(0.2)
