import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from preferred import assert_drives_apart, assert_equation, assert_pair_invariance, cases, log_sigmoid, means

from harken.algorithms.simpo import SimPO


@given(case=cases(), beta=st.floats(0.1, 5.0), gamma=st.floats(0.0, 3.0))
@settings(max_examples=50)
def test_equation_6(case, beta, gamma):
    def plain(new, old, chosen, rejected):
        mean = means(new)
        return -log_sigmoid(beta * mean[chosen] - beta * mean[rejected] - gamma)

    assert_equation(SimPO(beta=beta, gamma=gamma), case, plain)


@given(case=cases())
@settings(max_examples=20)
def test_order_padding_and_parts_do_not_matter(case):
    assert_pair_invariance(SimPO(), case)


@given(case=cases())
@settings(max_examples=20)
def test_a_step_raises_the_chosen_and_lowers_the_rejected(case):
    assert_drives_apart(SimPO(), case)


@given(case=cases())
@settings(max_examples=10)
def test_it_asks_for_no_reference(case):
    outputs, batch = case.batch()
    del batch.labels["reference_logprobs"]
    assert SimPO().loss(outputs, batch).value.isfinite()
    assert not SimPO.reference


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValueError, match="beta"):
        SimPO(beta=0.0)
    with pytest.raises(ValueError, match="gamma"):
        SimPO(gamma=-0.1)
