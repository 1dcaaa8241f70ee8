import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.evaluate.metrics.bootstrap import bootstrap_interval

some = st.lists(st.floats(-5, 5), min_size=2, max_size=20)


def plain_interval(values, resamples, seed, groups):
    """Efron and Tibshirani, read slowly: draw groups with replacement, take the mean, sort, cut the tails."""
    rng = random.Random(seed)
    names = sorted(set(groups))
    means = []
    for _ in range(resamples):
        drawn = [
            value
            for name in rng.choices(names, k=len(names))
            for value, g in zip(values, groups, strict=True)
            if g == name
        ]
        means.append(sum(drawn) / len(drawn))
    means.sort()
    return means[int(0.025 * resamples)], means[int(0.975 * resamples) - 1]


@pytest.mark.parametrize("grouped", [False, True])
def test_it_agrees_with_a_plain_reading(grouped):
    rng = np.random.default_rng(3)
    groups = [at // 3 for at in range(60)] if grouped else list(range(60))
    values = rng.normal(0, 1, 60) + (rng.normal(0, 2, 60)[np.array(groups)] if grouped else 0)
    low, high = bootstrap_interval(values, groups=groups if grouped else None)
    plain_low, plain_high = plain_interval(values.tolist(), 4000, 0, groups)
    assert low == pytest.approx(plain_low, abs=0.08 * (high - low))
    assert high == pytest.approx(plain_high, abs=0.08 * (high - low))


def test_it_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        low, high = bootstrap_interval(rng.normal(1.0, 1.0, 60), resamples=600, seed=seed)
        hits += low <= 1.0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_completions_of_one_prompt_are_not_independent():
    values = np.repeat(np.random.default_rng(0).normal(size=40), 8)
    alone = bootstrap_interval(values)
    together = bootstrap_interval(values, groups=[f"prompt {at // 8}" for at in range(320)])
    ratio = (together[1] - together[0]) / (alone[1] - alone[0])
    assert ratio == pytest.approx(8**0.5, rel=0.1)


def test_any_statistic_and_the_mean_are_resampled_alike():
    values = np.random.default_rng(0).normal(size=30)
    fast = bootstrap_interval(values, resamples=4000)
    slow = bootstrap_interval(values, lambda x: float(x.mean()), resamples=4000)
    assert np.allclose(fast, slow, atol=0.06)
    low, high = bootstrap_interval(values, np.median, resamples=500)
    assert low <= np.median(values) <= high


@settings(max_examples=30)
@given(some, st.integers(0, 5))
def test_it_is_deterministic_within_the_values_and_grows_with_the_level(values, seed):
    wide = bootstrap_interval(values, level=0.99, resamples=300, seed=seed)
    narrow = bootstrap_interval(values, level=0.5, resamples=300, seed=seed)
    assert wide == bootstrap_interval(values, level=0.99, resamples=300, seed=seed)
    assert min(values) - 1e-9 <= wide[0] <= narrow[0] <= narrow[1] <= wide[1] <= max(values) + 1e-9


def test_many_values_need_no_more_memory_than_few():
    values = np.random.default_rng(0).normal(size=50_000)
    low, high = bootstrap_interval(values, resamples=100)
    assert high - low == pytest.approx(2 * 1.96 / 50_000**0.5, rel=0.3)


@pytest.mark.parametrize(
    ("values", "wrong", "says"),
    [
        ([], {}, "non-empty"),
        ([1.0, float("nan")], {}, r"values\[1\] is nan"),
        ([1.0], {"level": 1.0}, "level"),
        ([1.0], {"resamples": 0}, "resamples"),
        ([1.0, 2.0], {"groups": [1]}, "1 labels for 2 values"),
    ],
)
def test_what_cannot_be_resampled_is_refused(values, wrong, says):
    with pytest.raises(ValueError, match=says):
        bootstrap_interval(values, **wrong)
