"""What the benchmark of active learning measures, and that an arm runs end to end on a world with a known truth."""

import math
import random

import numpy as np
import pytest
from benchmarks.reward.active import row_of
from benchmarks.reward.asked import Arm, Task, choose, curve, with_penalty
from benchmarks.reward.asked_worlds import in_order
from benchmarks.reward.saving import needed, rising, saving_of
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.annotators.simulated import SimulatedAnnotator
from harken.feedback.selection import Candidates, SelectionConfig
from harken.types import Completion, Message, Prompt, Text

ANSWERS = np.array([32, 64, 96, 128, 160])


def test_twice_as_fast_saves_half():
    random_ = np.tile([0.5, 0.6, 0.7, 0.8, 0.9], (6, 1))
    fast = np.tile([0.7, 0.9, 0.9, 0.9, 0.9], (6, 1))
    found = saving_of(ANSWERS, random_, fast)
    assert (found.answers, found.share, found.unreached) == (64.0, pytest.approx(0.6), 0.0)
    assert found.interval == pytest.approx((0.6, 0.6))
    assert saving_of(ANSWERS, random_, random_).share == 0.0


def test_what_is_never_reached_is_said_and_counts_as_the_worst():
    random_ = np.tile([0.5, 0.6, 0.7, 0.8, 0.9], (6, 1))
    found = saving_of(ANSWERS, random_, random_ - 0.05)
    assert found.answers is None and found.share == -1.0 and found.unreached == 1.0
    told = row_of("bald", {"accuracy": random_, "ties": 0.1, "saving": vars(found)}, ANSWERS.tolist())
    assert "not reached" in told and "below -100" in told


def test_a_plateau_of_random_counts_for_random():
    random_ = np.tile([0.5, 0.9, 0.9, 0.9, 0.9], (4, 1))
    assert saving_of(ANSWERS, random_, random_ + 0.0).share == 0.0
    assert saving_of(ANSWERS, random_, np.tile([0.5, 0.5, 0.9, 0.9, 0.9], (4, 1))).share == pytest.approx(-0.5)


@settings(max_examples=60)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=12), goal=st.floats(0, 1))
def test_a_rising_curve_reaches_its_goal_where_straight_lines_do(values, goal):
    curve_, at = rising(np.array(values)), np.arange(1.0, len(values) + 1)
    assert (np.diff(curve_) >= -1e-12).all() and curve_.mean() == pytest.approx(np.mean(values))
    found = needed(at, curve_, goal)
    if found is None:
        assert curve_[-1] < goal
    else:
        assert np.interp(found, at, curve_) >= goal - 1e-9
        assert found == at[0] or np.interp(found - 1e-6, at, curve_) <= goal + 1e-9


def world(seed: int, rows: int = 60, width: int = 4) -> Task:
    chance = np.random.default_rng(seed)
    features = chance.normal(size=(rows, width))
    truth = features @ np.array([2.0, -1.0, 0.5, 0.0])
    prompts = {f"p{i}": Prompt(f"p{i}", (Message("user", (Text("?"),)),)) for i in range(rows)}
    completions = [Completion(f"c{i}", f"p{i}", f"{i}", "x") for i in range(rows)]

    def gold(prompt: Prompt, completion: Completion) -> float:
        return float(truth[int(completion.text)])

    def same(prompt: Prompt, completion: Completion, chance: random.Random) -> str:
        return completion.text

    people = [SimulatedAnnotator(name, gold, same, 0.3, 0.0, 1.0, seed) for name in ("ada", "bob")]
    learnt = [(a, b) for a in range(40) for b in range(a)]
    judged = np.array([(a, b) for a in range(40, rows) for b in range(40, a)])
    return Task(prompts, completions, features, list(prompts), np.array(learnt), people, in_order(judged, truth))


def test_order_is_counted_where_the_truth_differs_clearly():
    pairs, truth = np.array([[0, 1], [1, 2], [0, 2]]), np.array([0.0, 0.4, 2.0])
    assert in_order(pairs, truth)(np.array([0.0, 3.0, 1.0])) == 0.5


def test_a_share_of_a_batch_is_random_and_no_pair_comes_twice():
    chance = np.random.default_rng(0)
    pairs = np.array([(a, b) for a in range(12) for b in range(a)])
    about = Candidates(pairs, chance.normal(size=(12, 4)), chance.normal(size=(12, 3)))
    best = choose(about, Arm(SelectionConfig("disagreement", 8)), 0).tolist()
    mixed = choose(about, Arm(SelectionConfig("disagreement", 8), random_share=0.5), 0).tolist()
    assert len(set(mixed)) == 8 and set(best[:4]) <= set(mixed) and set(mixed) != set(best)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["random", "bald", "v_optimal"])
def test_an_arm_learns_and_says_the_same_again(policy):
    task = with_penalty(world(0), 1, 60)
    assert not math.isnan(task.penalty)
    arm = Arm(SelectionConfig(policy, 8, ridge=task.penalty))
    found = curve(task, arm, 0, 5)
    assert found == curve(task, arm, 0, 5)
    assert found.answers == [8, 16, 24, 32, 40]
    assert found.accuracy[-1] > 0.85
    other = curve(task, Arm(SelectionConfig("random", 8), draws=1), 0, 5)
    assert other.accuracy[0] == found.accuracy[0]
