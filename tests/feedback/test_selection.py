"""Policies that choose pairs, against slow plain readings, and what must not change the choice."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.feedback.selection import (
    Candidates,
    Policy,
    SelectionConfig,
    chances_of,
    d_optimal,
    disagreement,
    fisher,
    gradients,
    information,
    k_centre,
    k_means_plus_plus,
    power_sample,
    select_pairs,
    v_optimal,
    weighted,
)

POLICIES = get_args(Policy)


def drawn(seed: int, rows: int = 12, heads: int = 4, width: int = 5, answered: int = 0) -> Candidates:
    chance = np.random.default_rng(seed)
    every = np.array([(a, b) for a in range(rows) for b in range(a)])
    flip = chance.random(len(every)) < 0.5
    every[flip] = every[flip][:, ::-1]
    chance.shuffle(every)
    pairs = every[: len(every) * 2 // 3]
    scores, features = chance.normal(0, 2, (rows, heads)), chance.normal(size=(rows, width))
    return Candidates(pairs, scores, features, every[chance.integers(0, len(every), answered)])


def sets(candidates: Candidates, places) -> list[frozenset[int]]:
    return [frozenset(map(int, candidates.pairs[place])) for place in places]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def plain(candidates: Candidates) -> tuple[list[frozenset[int]], list[list[float]], list[np.ndarray]]:
    """The pairs that may be asked in order of their rows; p of each head; x_a - x_b."""
    taken = {frozenset(map(int, pair)) for pair in candidates.answered}
    pairs = sorted({tuple(sorted(map(int, pair))) for pair in candidates.pairs} - {tuple(sorted(t)) for t in taken})
    chances = [[sigmoid(x - y) for x, y in zip(*candidates.scores[list(p)], strict=True)] for p in pairs]
    apart = [candidates.features[a] - candidates.features[b] for a, b in pairs]
    return [frozenset(pair) for pair in pairs], chances, apart


seeds = st.integers(0, 2**32)
batches = st.sampled_from([1, 2, 7, 64])
several = settings(max_examples=40)


@several
@given(seed=seeds, batch=batches, answered=st.integers(0, 6))
def test_disagreement_is_the_variance_of_p_over_the_heads(seed, batch, answered):
    asked = drawn(seed, answered=answered)
    pairs, chances, _ = plain(asked)
    spread = [sum((p - sum(ps) / len(ps)) ** 2 for p in ps) / len(ps) for ps in chances]
    order = sorted(range(len(pairs)), key=lambda i: -spread[i])[:batch]
    found = select_pairs(asked, SelectionConfig("disagreement", batch), seed)
    assert sets(asked, found) == [pairs[i] for i in order]


@several
@given(seed=seeds, batch=batches)
def test_votes_are_counted_and_equals_are_taken_by_chance(seed, batch):
    asked = drawn(seed)
    asked.scores[0] = asked.scores[1]
    pairs, chances, _ = plain(asked)
    votes = [entropy(sum(1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0 for p in ps) / len(ps)) for ps in chances]
    by_pair = dict(zip(pairs, votes, strict=True))
    found = sets(asked, select_pairs(asked, SelectionConfig("disagreement", batch, measure="vote_entropy"), seed))
    assert [by_pair[p] for p in found] == pytest.approx(sorted(votes, reverse=True)[:batch])
    others = {
        frozenset(sets(asked, select_pairs(asked, SelectionConfig("disagreement", 2, "vote_entropy"), s)))
        for s in range(20)
    }
    top = sum(vote > max(votes) - 1e-9 for vote in votes)
    assert len(others) > 1 or top <= 2


@several
@given(seed=seeds, batch=batches, answered=st.integers(0, 6))
def test_bald_is_the_mutual_information_of_answer_and_head(seed, batch, answered):
    asked = drawn(seed, answered=answered)
    pairs, chances, _ = plain(asked)
    # From the joint distribution of (head, answer), as mutual information is defined.
    said = []
    for ps in chances:
        mean, total = sum(ps) / len(ps), 0.0
        for p in ps:
            for joint, answer in ((p / len(ps), mean), ((1 - p) / len(ps), 1 - mean)):
                total += joint * math.log(joint * len(ps) / answer)
        said.append(total)
    found = sets(asked, select_pairs(asked, SelectionConfig("bald", batch, power=math.inf), seed))
    by_pair = dict(zip(pairs, said, strict=True))
    assert [by_pair[p] for p in found] == pytest.approx(sorted(said, reverse=True)[:batch], abs=1e-12)


def test_bald_knows_unsure_heads_from_heads_that_differ():
    assert information(np.array([[0.5, 0.5], [0.0, 1.0], [0.9, 0.9]])) == pytest.approx([0, math.log(2), 0], abs=1e-12)


def test_powerbald_draws_as_information_to_the_power():
    values, power = np.array([0.1, 0.2, 0.4, 0.0]), 2.0
    draws = [power_sample(values, 4, power, np.random.default_rng(seed)) for seed in range(6000)]
    shares = np.bincount([d[0] for d in draws], minlength=4) / len(draws)
    assert shares == pytest.approx(values**power / (values**power).sum(), abs=0.03)
    # The second, among what the first left.
    second = np.bincount([d[1] for d in draws if d[0] == 2], minlength=4)
    assert second / second.sum() == pytest.approx([0.2, 0.8, 0, 0], abs=0.04)
    assert all(d[3] == 3 for d in draws)


@several
@given(seed=seeds)
def test_badge_s_points_are_the_gradient_of_the_likelier_answer(seed):
    asked = drawn(seed)
    _, chances, apart = plain(asked)
    found = gradients(np.array(chances), np.array(apart))
    weights, step = np.zeros(5), 1e-5
    for ps, between, point in zip(chances, apart, found, strict=True):
        mean = sum(ps) / len(ps)
        x, p = (between, mean) if mean >= 0.5 else (-between, 1 - mean)
        # The derivative of log sigmoid(w x + c) with c such that the model says p.
        offset = math.log(p / (1 - p))
        slope = [
            (
                math.log(sigmoid((weights + step * e) @ x + offset))
                - math.log(sigmoid((weights - step * e) @ x + offset))
            )
            / (2 * step)
            for e in np.eye(5)
        ]
        assert point == pytest.approx(slope, abs=1e-6)


@several
@given(seed=seeds, count=st.integers(1, 12), copies=st.integers(1, 3))
def test_k_means_plus_plus_draws_by_squared_distance(seed, count, copies):
    points = np.tile(np.random.default_rng(seed).integers(-3, 4, (4, 2)).astype(float), (copies, 1))
    same = np.random.default_rng(seed)
    chosen: list[int] = []
    while len(chosen) < min(count, len(points)):
        weights = [
            0.0 if i in chosen else min([float(((p - points[c]) ** 2).sum()) for c in chosen] or [float((p**2).sum())])
            for i, p in enumerate(points)
        ]
        if not any(weights):
            weights = [float(i not in chosen) for i in range(len(points))]
        mark, run = same.random() * sum(weights), 0.0
        for i, weight in enumerate(weights):
            run += weight
            if weight and mark < run:
                chosen.append(i)
                break
    assert k_means_plus_plus(points, count, np.random.default_rng(seed)).tolist() == chosen


def test_badge_takes_one_of_each_clump():
    chance = np.random.default_rng(0)
    points = np.concatenate([centre + chance.normal(0, 0.01, (30, 2)) for centre in ([9, 0], [0, 9], [-9, -9])])
    for seed in range(20):
        assert {int(i) // 30 for i in k_means_plus_plus(points, 3, np.random.default_rng(seed))} == {0, 1, 2}


@pytest.mark.slow
@several
@given(seed=seeds, batch=batches, answered=st.integers(0, 6))
def test_k_centre_is_farthest_first(seed, batch, answered):
    asked = drawn(seed, answered=answered)
    pairs, chances, apart = plain(asked)

    def point(ps, x):
        mean = sum(ps) / len(ps)
        return 4 * mean * (1 - mean) * x

    points = [point(ps, x) for ps, x in zip(chances, apart, strict=True)]
    centres = [np.zeros(5)]
    for a, b in asked.answered:
        ps = [sigmoid(x - y) for x, y in zip(asked.scores[a], asked.scores[b], strict=True)]
        centres.append(point(ps, asked.features[a] - asked.features[b]))
    chosen: list[int] = []
    while len(chosen) < min(batch, len(pairs)):
        away = [
            -1.0 if i in chosen else min(min(np.linalg.norm(p - c), np.linalg.norm(p + c)) for c in centres)
            for i, p in enumerate(points)
        ]
        chosen.append(int(np.argmax(away)))
        centres.append(points[chosen[-1]])
    found = select_pairs(asked, SelectionConfig("k_centre", batch), seed)
    assert sets(asked, found) == [pairs[i] for i in chosen]


@several
@given(seed=seeds, batch=batches, answered=st.integers(0, 6), ridge=st.sampled_from([0.1, 1.0, 30.0]))
def test_d_optimal_is_greedy_on_the_log_determinant(seed, batch, answered, ridge):
    asked = drawn(seed, answered=answered)
    pairs, chances, apart = plain(asked)
    known = ridge * np.eye(5)
    for a, b in asked.answered:
        ps = [sigmoid(x - y) for x, y in zip(asked.scores[a], asked.scores[b], strict=True)]
        x = asked.features[a] - asked.features[b]
        known = known + sum(p * (1 - p) for p in ps) / len(ps) * np.outer(x, x)
    chosen: list[int] = []
    while len(chosen) < min(batch, len(pairs)):
        gains = []
        for i, (ps, x) in enumerate(zip(chances, apart, strict=True)):
            more = known + sum(p * (1 - p) for p in ps) / len(ps) * np.outer(x, x)
            gains.append(-math.inf if i in chosen else np.linalg.slogdet(more)[1])
        chosen.append(int(np.argmax(gains)))
        ps, x = chances[chosen[-1]], apart[chosen[-1]]
        known = known + sum(p * (1 - p) for p in ps) / len(ps) * np.outer(x, x)
    found = select_pairs(asked, SelectionConfig("d_optimal", batch, ridge=ridge), seed)
    assert sets(asked, found) == [pairs[i] for i in chosen]


@pytest.mark.slow
@several
@given(seed=seeds, batch=batches, answered=st.integers(0, 6), ridge=st.sampled_from([0.1, 1.0, 30.0]))
def test_v_optimal_is_greedy_on_the_variance_of_all_candidates(seed, batch, answered, ridge):
    asked = drawn(seed, answered=answered)
    pairs, chances, apart = plain(asked)
    weights = [sum(p * (1 - p) for p in ps) / len(ps) for ps in chances]
    known = ridge * np.eye(5)
    for a, b in asked.answered:
        ps = [sigmoid(x - y) for x, y in zip(asked.scores[a], asked.scores[b], strict=True)]
        x = asked.features[a] - asked.features[b]
        known = known + sum(p * (1 - p) for p in ps) / len(ps) * np.outer(x, x)

    def left(precision: np.ndarray) -> float:
        """The sum over candidates of the variance of p: (p (1 - p))^2 times that of the gap."""
        covariance = np.linalg.inv(precision)
        return sum(w**2 * float(t @ covariance @ t) for w, t in zip(weights, apart, strict=True))

    found = sets(asked, select_pairs(asked, SelectionConfig("v_optimal", batch, ridge=ridge), seed))
    chosen = [pairs.index(pair) for pair in found]
    assert len(set(chosen)) == len(chosen) == min(batch, len(pairs))
    for place, pick in enumerate(chosen):
        after = [left(known + w * np.outer(x, x)) for w, x in zip(weights, apart, strict=True)]
        free = [after[i] for i in range(len(pairs)) if i not in chosen[:place]]
        assert after[pick] == pytest.approx(min(free), rel=1e-9)
        known = known + weights[pick] * np.outer(apart[pick], apart[pick])


@several
@given(seed=seeds, batch=batches, policy=st.sampled_from(POLICIES), answered=st.integers(0, 9))
def test_the_choice_does_not_depend_on_order_sides_or_names_of_heads(seed, batch, policy, answered):
    asked, config = drawn(seed, answered=answered), SelectionConfig(policy, batch)
    found = sets(asked, select_pairs(asked, config, seed))
    assert found == sets(asked, select_pairs(asked, config, seed))
    assert len(set(found)) == len(found) == min(batch, len(plain(asked)[0]))
    assert not {frozenset(map(int, pair)) for pair in asked.answered} & set(found)
    chance = np.random.default_rng(seed + 1)
    flip, head_order = chance.random(len(asked.pairs)) < 0.5, chance.permutation(asked.scores.shape[1])
    other = replace(
        asked,
        pairs=np.where(flip[:, None], asked.pairs[:, ::-1], asked.pairs)[chance.permutation(len(asked.pairs))],
        scores=asked.scores[:, head_order],
        answered=asked.answered[:, ::-1],
    )
    assert sets(other, select_pairs(other, config, seed)) == found
    twice = replace(asked, pairs=np.concatenate([asked.pairs, asked.pairs[:, ::-1]]))
    assert sets(twice, select_pairs(twice, config, seed)) == found


@several
@given(seed=seeds)
def test_each_measure_says_the_same_of_a_pair_turned_round(seed):
    asked = drawn(seed)
    chances, turned = (chances_of(asked.scores, pairs) for pairs in (asked.pairs, asked.pairs[:, ::-1]))
    assert turned == pytest.approx(1 - chances[:, ::-1])
    for value in (disagreement, lambda p: disagreement(p, "vote_entropy"), information, fisher):
        assert value(turned) == pytest.approx(value(chances), abs=1e-12)
    apart = asked.features[asked.pairs[:, 0]] - asked.features[asked.pairs[:, 1]]
    assert gradients(turned, -apart) == pytest.approx(gradients(chances, apart))
    none = np.empty((0, 5))
    assert (k_centre(weighted(turned, -apart), 9, none) == k_centre(weighted(chances, apart), 9, none)).all()
    for optimal in (d_optimal, v_optimal):
        assert (optimal(-apart, fisher(turned), 9, np.eye(5)) == optimal(apart, fisher(chances), 9, np.eye(5))).all()


@pytest.mark.parametrize("policy", ["random", "bald", "badge"])
def test_another_seed_is_another_choice(policy):
    asked = drawn(0)
    assert len({tuple(select_pairs(asked, SelectionConfig(policy, 6), seed)) for seed in range(8)}) > 4


def test_badge_looks_at_the_uncertain_alone():
    asked = drawn(3)
    pairs, chances, _ = plain(asked)
    unsure = sorted(range(len(pairs)), key=lambda i: abs(sum(chances[i]) / len(chances[i]) - 0.5))[:10]
    found = sets(asked, select_pairs(asked, SelectionConfig("badge", 10, keep=10), 0))
    assert set(found) == {pairs[i] for i in unsure}


@pytest.mark.parametrize("policy", POLICIES)
def test_everything_answered_leaves_nothing_and_far_scores_are_no_trouble(policy):
    asked = drawn(1)
    assert select_pairs(replace(asked, answered=asked.pairs[:, ::-1]), SelectionConfig(policy), 0).tolist() == []
    far = replace(asked, scores=asked.scores * 1e4)
    assert len(set(select_pairs(far, SelectionConfig(policy, 20), 0).tolist())) == 20
    same = replace(asked, scores=asked.scores * 0, features=asked.features * 0)
    assert len(set(select_pairs(same, SelectionConfig(policy, 20), 0).tolist())) == 20


def test_what_is_wrong_is_named():
    asked = drawn(0)
    with pytest.raises(ValueError, match="from 1 to 64"):
        SelectionConfig(batch=65)
    with pytest.raises(ValueError, match="above 0"):
        SelectionConfig(ridge=0.0)
    with pytest.raises(ValueError, match="needs features"):
        select_pairs(replace(asked, features=None), SelectionConfig("d_optimal"), 0)
    assert len(select_pairs(replace(asked, features=None), SelectionConfig("bald", 3), 0)) == 3
    with pytest.raises(ValueError, match=r"heads that can disagree.*reward\.model\.heads"):
        select_pairs(replace(asked, scores=asked.scores[:, :1]), SelectionConfig("bald"), 0)
    with pytest.raises(ValueError, match="number 0 compares row 2 with itself"):
        replace(asked, pairs=np.array([[2, 2]]))
    with pytest.raises(ValueError, match="from 0 to 11"):
        replace(asked, pairs=np.array([[2, 12]]))
    spoilt = asked.scores.copy()
    spoilt[4, 1] = np.nan
    with pytest.raises(ValueError, match="scores: row 4"):
        replace(asked, scores=spoilt)
