import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.evaluate.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    preference_probabilities,
    reliability_bins,
)

predictions = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=40)


def plain_error(p, y, bins):
    """arXiv 1706.04599, equations 1 to 3, with bins ((m - 1) / M, m / M] and 0 in the first."""
    total = 0.0
    for m in range(bins):
        low, high = m / bins, (m + 1) / bins
        here = [at for at in range(len(p)) if low < p[at] <= high or (m == 0 and p[at] == 0)]
        if here:
            observed = sum(y[at] for at in here) / len(here)
            predicted = sum(p[at] for at in here) / len(here)
            total += len(here) / len(p) * abs(observed - predicted)
    return total


@settings(max_examples=60)
@given(predictions, st.integers(1, 12))
def test_it_agrees_with_a_plain_reading(found, bins):
    p, y = [x for x, _ in found], [z for _, z in found]
    assert expected_calibration_error(p, y, bins) == pytest.approx(plain_error(p, y, bins), abs=1e-12)
    assert brier_score(p, y) == pytest.approx(sum((x - z) ** 2 for x, z in found) / len(found), abs=1e-12)
    assert sum(one.count for one in reliability_bins(p, y, bins)) == len(found)


def test_a_worked_example():
    bins = reliability_bins([0.1, 0.15, 0.9, 1.0, 0.0], [0, 1, 1, 1, 0], bins=2)
    assert [(one.low, one.high, one.count) for one in bins] == [(0, 0.5, 3), (0.5, 1, 2)]
    assert bins[0].observed == pytest.approx(1 / 3) and bins[0].predicted == pytest.approx(0.25 / 3)
    assert expected_calibration_error([0.1, 0.15, 0.9, 1.0, 0.0], [0, 1, 1, 1, 0], bins=2) == pytest.approx(
        3 / 5 * (1 / 3 - 0.25 / 3) + 2 / 5 * 0.05
    )
    empty = reliability_bins([0.9], [1], bins=2)[0]
    assert empty.count == 0 and math.isnan(empty.observed)


def test_the_probability_is_that_of_bradley_and_terry():
    found = preference_probabilities([2.0, 0.0, -800.0], [0.5, 0.0, 800.0])
    assert found.tolist() == pytest.approx([1 / (1 + math.exp(-1.5)), 0.5, 0.0])
    assert np.allclose(found + preference_probabilities([0.5, 0.0, 800.0], [2.0, 0.0, -800.0]), 1)


def test_an_honest_model_is_calibrated_and_a_boastful_one_is_not():
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 1.5, 20_000)
    p = preference_probabilities(margin, np.zeros(20_000))
    won = (rng.uniform(size=20_000) < p).astype(float)
    boast = preference_probabilities(4 * margin, np.zeros(20_000))
    assert expected_calibration_error(p, won) < 0.02
    assert expected_calibration_error(boast, won) > 0.1
    assert brier_score(p, won) < brier_score(boast, won)
    assert brier_score(np.full(20_000, 0.5), won) == 0.25


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"probabilities\[1\] is 1.5"):
        brier_score([0.5, 1.5], [0, 1])
    with pytest.raises(ValueError, match="2 probabilities for 1 outcomes"):
        brier_score([0.5, 0.5], [0])
    with pytest.raises(ValueError, match="bins is 0"):
        reliability_bins([0.5], [1], bins=0)
