import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from preferred import Case, assert_drives_apart, assert_equation, assert_pair_invariance, cases, descend, means, sums

from harken.algorithms.ipo import IPO


@pytest.mark.parametrize("per_token", [False, True])
@given(case=cases(), beta=st.floats(0.05, 2.0))
@settings(max_examples=40)
def test_equation_17(per_token, case, beta):
    def plain(new, old, chosen, rejected):
        pi, ref = (means(new), means(old)) if per_token else (sums(new), sums(old))
        h = (pi[chosen] - ref[chosen]) - (pi[rejected] - ref[rejected])
        return (h - 1 / (2 * beta)) ** 2

    assert_equation(IPO(beta=beta, per_token=per_token), case, plain)


@given(case=cases())
@settings(max_examples=20)
def test_order_padding_and_parts_do_not_matter(case):
    assert_pair_invariance(IPO(), case)
    assert_pair_invariance(IPO(per_token=True), case)


@given(case=cases())
@settings(max_examples=20)
def test_a_step_raises_the_chosen_and_lowers_the_rejected(case):
    assert_drives_apart(IPO(), case)


def test_a_pair_that_is_far_enough_apart_is_brought_back():
    # h is 7, and 1 / (2 beta) is 5: DPO would go on.
    case = Case([[-1.0], [-8.0]], [[-1.0], [-1.0]], [(0, 1)], [1.0])
    value, slope = descend(IPO(beta=0.1), *case.batch())
    assert value.item() == pytest.approx(4.0)
    assert slope[0, 0] > 0 > slope[1, 0]


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValueError, match="beta"):
        IPO(beta=-1.0)
