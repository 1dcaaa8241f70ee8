import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from harken.evaluate.metrics.overoptimisation import (
    best_of_n_means,
    fit_gao,
    regularised_means,
    terms,
    turning_points,
)

FORMS = ("best_of_n", "rl")


def rise(form, d, alpha, beta):
    """The two laws, as they are printed."""
    if form == "best_of_n":
        return d * (alpha - beta * d)
    return d * (alpha - beta * math.log(d)) if d > 0 else 0.0


@settings(max_examples=40)
@given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 10_000))
def test_the_best_of_n_is_the_mean_over_all_draws(count, levels, seed):
    """Every way to draw n of the samples is listed; of the best ones each is taken as often."""
    rng = np.random.default_rng(seed)
    proxy, gold = rng.integers(0, levels, (2, count)).astype(float), rng.normal(size=(2, count))
    for n in range(1, count + 1):
        expected = []
        for row in range(2):
            worth = []
            for drawn in combinations(range(count), n):
                top = max(proxy[row, i] for i in drawn)
                best = [gold[row, i] for i in drawn if proxy[row, i] == top]
                worth.append(sum(best) / len(best))
            expected.append(sum(worth) / len(worth))
        assert best_of_n_means(proxy, gold, [n])[:, 0] == pytest.approx(expected, abs=1e-10)


def test_the_best_of_many_by_itself_never_gets_worse_and_ends_at_the_largest():
    proxy = np.random.default_rng(0).normal(size=(3, 300))
    found = best_of_n_means(proxy, proxy, [1, 2, 16, 128, 300])
    assert (np.diff(found, axis=1) > 0).all()
    assert found[:, 0] == pytest.approx(proxy.mean(1))
    assert found[:, -1] == pytest.approx(proxy.max(1))


@pytest.mark.parametrize(
    ("proxy", "values", "sizes", "why"),
    [
        (np.zeros((1, 3)), np.zeros((1, 3)), [4], "from 1 to 3"),
        (np.zeros((1, 3)), np.zeros((1, 3)), [0], "from 1 to 3"),
        (np.zeros((1, 3)), np.zeros((1, 3)), [], "from 1 to 3"),
        (np.array([[0.0, np.nan]]), np.zeros((1, 2)), [1], "finite"),
    ],
)
def test_what_has_no_best_of_n_is_refused(proxy, values, sizes, why):
    with pytest.raises(ValueError, match=why):
        best_of_n_means(proxy, values, sizes)


@settings(max_examples=40)
@given(st.integers(1, 6), st.floats(0.05, 5.0), st.integers(0, 10_000))
def test_no_other_policy_earns_more_under_the_penalty(count, beta, seed):
    rng = np.random.default_rng(seed)
    proxy, gold = rng.normal(size=(1, count)), rng.normal(size=(1, count))

    def plain(weights):
        kl = sum(w * math.log(w * count) for w in weights if w > 0)
        return kl, sum(w * r for w, r in zip(weights, proxy[0], strict=True))

    whole = [math.exp(r / beta) for r in proxy[0]]
    policy = [w / sum(whole) for w in whole]
    kl, golden = regularised_means(proxy, gold, beta)
    assert (kl[0], golden[0]) == pytest.approx((plain(policy)[0], float(gold[0] @ policy)), abs=1e-9)
    earned = regularised_means(proxy, proxy, beta)[1][0] - beta * kl[0]
    for other in rng.dirichlet(np.ones(count), size=20):
        off, reward = plain(other)
        assert reward - beta * off <= earned + 1e-9


def test_without_a_penalty_only_the_proxy_s_favourites_are_left():
    proxy, gold = np.array([[0.0, 2.0, 2.0, 1.0]]), np.array([[9.0, 1.0, 3.0, 9.0]])
    kl, golden = regularised_means(proxy, gold, 0.0)
    assert (kl[0], golden[0]) == pytest.approx((math.log(2), 2.0))
    near = regularised_means(proxy, gold, 1e-3)
    assert (near[0][0], near[1][0]) == pytest.approx((math.log(2), 2.0))
    with pytest.raises(ValueError, match="from 0 up"):
        regularised_means(proxy, gold, -1.0)


@settings(max_examples=60)
@given(st.sampled_from(FORMS), st.floats(-3, 3), st.floats(-3, 3), st.integers(1, 5), st.integers(0, 10_000))
def test_a_curve_of_the_form_is_found_again(form, alpha, beta, rows, seed):
    d = np.random.default_rng(seed).uniform(0, 3, size=(rows, 6))
    made = np.array([[rise(form, one, alpha, beta) for one in row] for row in d])
    found = fit_gao(form, d, made, resamples=50)
    assert (found.alpha, found.beta) == pytest.approx((alpha, beta), abs=1e-6)
    assert found(d[0]) == pytest.approx(made[0], abs=1e-6)


@settings(max_examples=30)
@given(st.sampled_from(FORMS), st.integers(0, 10_000))
def test_the_fit_is_numpy_s_least_squares(form, seed):
    rng = np.random.default_rng(seed)
    d, noisy = np.array([0.0, 0.4, 0.9, 1.7, 2.2]), rng.normal(size=(4, 5))
    x = np.array([[one, rise(form, one, 0.0, 1.0)] for _ in range(4) for one in d])
    expected = np.linalg.lstsq(x, noisy.ravel(), rcond=None)[0]
    found = fit_gao(form, d, noisy)
    assert (found.alpha, found.beta) == pytest.approx(tuple(expected), abs=1e-9)
    mean = noisy.mean(0)
    unexplained = ((mean - terms(form, d) @ expected) ** 2).sum()
    assert found.r_squared == pytest.approx(1 - unexplained / ((mean - mean.mean()) ** 2).sum())


def test_the_intervals_are_those_of_fits_to_resampled_rows():
    rng = np.random.default_rng(1)
    d = np.array([0.5, 1.0, 2.0, 3.0])
    made = np.array([[rise("best_of_n", x, a, 0.3) for x in d] for a in rng.normal(2.0, 0.5, size=60)])
    found = fit_gao("best_of_n", d, made, resamples=4_000)
    again = []
    for _ in range(1_000):
        drawn = made[rng.integers(0, 60, 60)].mean(0)
        again.append(np.linalg.lstsq(np.stack([d, -d * d], 1), drawn, rcond=None)[0])
    low, high = np.quantile(again, [0.025, 0.975], axis=0)
    assert found.alpha_interval == pytest.approx((low[0], high[0]), abs=0.03)
    assert found.beta_interval == pytest.approx((0.3, 0.3), abs=1e-9)
    assert found.alpha_interval[0] < found.alpha < found.alpha_interval[1]
    assert found.turning_interval[0] < found.turning_point < found.turning_interval[1]


@settings(max_examples=60)
@given(st.sampled_from(FORMS), st.floats(0.1, 3), st.floats(0.5, 3))
def test_gold_is_largest_at_the_turning_point(form, alpha, beta):
    turn = float(turning_points(form, np.array([[alpha, beta]]))[0])
    top = minimize_scalar(lambda d: -rise(form, d, alpha, beta), bounds=(1e-9, 2 * turn + 1), method="bounded")
    assert turn == pytest.approx(top.x, abs=1e-3)


def test_what_never_turns_and_what_falls_from_the_start():
    never = np.array([[1.0, 0.0], [1.0, -2.0], [-1.0, -1.0]])
    assert turning_points("best_of_n", never).tolist() == [math.inf] * 3
    assert turning_points("rl", never).tolist() == [math.inf] * 3
    assert turning_points("best_of_n", np.array([[-1.0, 1.0]])).tolist() == [0.0]
    assert turning_points("rl", np.array([[1.0, 1e-9]])).tolist() == [math.inf]


@pytest.mark.parametrize(
    ("distance", "made", "why"),
    [
        ([0.0, 1.0, 1.0], np.ones((2, 3)), "two different distances"),
        ([-1.0, 1.0, 2.0], np.ones((2, 3)), "from 0 up"),
        ([0.0, 1.0, 2.0], np.full((2, 3), np.nan), "finite"),
    ],
)
def test_what_settles_nothing_is_refused(distance, made, why):
    with pytest.raises(ValueError, match=why):
        fit_gao("rl", np.array(distance), made)
