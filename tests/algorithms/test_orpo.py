import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from preferred import Case, assert_drives_apart, assert_equation, assert_pair_invariance, cases, descend, means

from harken.algorithms.orpo import ORPO, log_odds


@given(case=cases(), weight=st.floats(0.0, 3.0))
@settings(max_examples=50)
def test_equations_6_and_7(case, weight):
    def plain(new, old, chosen, rejected):
        mean = means(new)
        odds = [math.exp(logp) / (1 - math.exp(logp)) for logp in mean]
        ratio = odds[chosen] / odds[rejected]
        return -mean[chosen] + weight * -math.log(1 / (1 + 1 / ratio))

    assert_equation(ORPO(odds_weight=weight), case, plain)


@given(case=cases())
@settings(max_examples=20)
def test_order_padding_and_parts_do_not_matter(case):
    assert_pair_invariance(ORPO(), case)


@given(case=cases())
@settings(max_examples=20)
def test_a_step_raises_the_chosen_and_lowers_the_rejected(case):
    assert_drives_apart(ORPO(), case)


@given(logp=st.floats(-60.0, -1e-12))
def test_log_odds_keep_their_digits_near_0_and_1(logp):
    # log(p / (1 - p)) by 1 - p = -expm1(log p), which math has to the last digit.
    expected = logp - math.log(-math.expm1(logp))
    found = log_odds(torch.tensor([logp], dtype=torch.float64)).item()
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_a_completion_that_is_certain_gives_finite_numbers():
    certain = Case([[0.0, 0.0], [0.0]], [[0.0, 0.0], [0.0]], [(0, 1)], [1.0])
    outputs, batch = certain.batch()
    value, slope = descend(ORPO(), outputs, batch)
    assert value.isfinite()
    assert slope.isfinite().all()
    assert slope[1, 0] > 0  # the rejected one is still driven down


def test_it_asks_for_no_reference():
    outputs, batch = Case([[-1.0], [-2.0]], [[0.0], [0.0]], [(0, 1)], [1.0]).batch()
    del batch.labels["reference_logprobs"]
    assert ORPO().loss(outputs, batch).value.isfinite()
    assert not ORPO.reference


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValueError, match="odds_weight"):
        ORPO(odds_weight=-0.1)
