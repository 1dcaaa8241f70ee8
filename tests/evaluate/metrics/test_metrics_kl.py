import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.evaluate.metrics.kl import kl_of_best_of, sequence_kl


@settings(max_examples=40)
@given(st.integers(2, 6), st.integers(1, 7), st.integers(0, 10_000))
def test_it_agrees_with_a_plain_reading(n, t, seed):
    rng = np.random.default_rng(seed)
    policy, reference = -rng.exponential(size=(n, t)), -rng.exponential(size=(n, t))
    mask = rng.uniform(size=(n, t)) < 0.7
    k1, k3 = [], []
    for row in range(n):
        first = third = 0.0
        for token in range(t):
            if mask[row, token]:
                r = float(reference[row, token] - policy[row, token])
                first += -r
                third += math.exp(r) - 1 - r
        k1.append(first)
        k3.append(third)
    found = sequence_kl(policy, reference, mask)
    for values, mean, error in ((k1, found.k1, found.k1_error), (k3, found.k3, found.k3_error)):
        centre = sum(values) / n
        spread = math.sqrt(sum((v - centre) ** 2 for v in values) / (n - 1))
        assert mean == pytest.approx(centre, rel=1e-9, abs=1e-12)
        assert error == pytest.approx(spread / math.sqrt(n), rel=1e-9, abs=1e-12)
    assert found.k3 >= 0 and found.sequences == n


def test_both_estimators_find_the_true_divergence_of_sampled_sequences():
    rng = np.random.default_rng(0)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.25, 0.25, 0.5])
    length = 4
    true = length * float((p * np.log(p / q)).sum())
    drawn = rng.choice(3, size=(20_000, length), p=p)
    found = sequence_kl(np.log(p)[drawn], np.log(q)[drawn], np.ones((20_000, length), dtype=bool))
    assert abs(found.k1 - true) < 4 * found.k1_error
    assert abs(found.k3 - true) < 4 * found.k3_error


def test_a_policy_that_has_not_moved_is_at_zero_and_padding_may_be_anything():
    logprobs = np.array([[-1.0, -2.0, np.nan], [-0.5, -np.inf, 0.0]], dtype=np.float32)
    mask = np.array([[True, True, False], [True, False, False]])
    found = sequence_kl(logprobs, logprobs, mask)
    assert (found.k1, found.k3, found.k1_error) == (0, 0, 0)


def test_one_sequence_leaves_the_error_open():
    found = sequence_kl(np.zeros((1, 2)), np.full((1, 2), -1.0), np.ones((1, 2), dtype=bool))
    assert found.k1 == 2 and math.isnan(found.k1_error)


def test_a_sampled_token_needs_a_logprob():
    mask = np.ones((1, 2), dtype=bool)
    with pytest.raises(ValueError, match=r"reference\[0, 1\] is -inf"):
        sequence_kl(np.zeros((1, 2)), np.array([[0.0, -np.inf]]), mask)
    with pytest.raises(ValueError, match="no sequences"):
        sequence_kl(np.zeros((0, 2)), np.zeros((0, 2)), np.ones((0, 2), dtype=bool))


@pytest.mark.slow
@given(st.integers(1, 64))
def test_the_kl_of_the_best_of_n(n):
    """Of a fine grid of scores: the best of n has density n F^(n - 1) against the sampler's 1."""
    cells = 20_000
    shares = [((i + 1) / cells) ** n - (i / cells) ** n for i in range(cells)]
    summed = math.fsum(p * math.log(p * cells) for p in shares if p > 0)
    assert kl_of_best_of(n) == pytest.approx(summed, abs=1e-3)
