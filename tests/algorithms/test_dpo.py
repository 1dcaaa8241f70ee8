import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from preferred import (
    Case,
    assert_drives_apart,
    assert_equation,
    assert_pair_invariance,
    cases,
    log_sigmoid,
    means,
    sums,
)

from harken.algorithms.dpo import DPO
from harken.algorithms.objective import PreferenceObjective

FIELDS = {"beta": st.floats(0.01, 2.0), "smoothing": st.floats(0.0, 0.45), "sft": st.floats(0.0, 2.0)}


def reading(beta: float, link, smoothing: float, sft: float):
    """The loss of one pair."""

    def plain(new, old, chosen, rejected):
        pi, ref = sums(new), sums(old)
        margin = beta * ((pi[chosen] - ref[chosen]) - (pi[rejected] - ref[rejected]))
        both = (1 - smoothing) * link(margin) + smoothing * link(-margin)
        return both - sft * means(new)[chosen]

    return plain


@given(case=cases(), **FIELDS)
@settings(max_examples=40)
def test_equation_7(case, beta, smoothing, sft):
    objective = DPO(beta=beta, label_smoothing=smoothing, sft_weight=sft)
    assert_equation(objective, case, reading(beta, lambda m: -log_sigmoid(m), smoothing, sft))


@given(case=cases(), **FIELDS)
@settings(max_examples=40)
def test_the_hinge(case, beta, smoothing, sft):
    def hinge(margin: float) -> float:
        assume(abs(margin - 1) > 1e-4)  # it has no slope at the kink
        return max(0.0, 1 - margin)

    objective = DPO(beta=beta, link="hinge", label_smoothing=smoothing, sft_weight=sft)
    assert_equation(objective, case, reading(beta, hinge, smoothing, sft))


@pytest.mark.slow
@given(case=cases())
@settings(max_examples=30)
def test_order_padding_and_parts_do_not_matter(case):
    assert_pair_invariance(DPO(label_smoothing=0.1, sft_weight=0.3), case)
    assert_pair_invariance(DPO(link="hinge", beta=0.3), case)


@given(case=cases())
@settings(max_examples=20)
def test_a_step_raises_the_chosen_and_lowers_the_rejected(case):
    assert_drives_apart(DPO(), case)


@given(case=cases())
@settings(max_examples=10)
def test_a_policy_that_is_its_reference_is_at_log_2_with_no_margin(case):
    outputs, batch = Case(case.new, case.new, case.pairs, case.weights).batch()
    loss = DPO().loss(outputs, batch)
    assert math.isclose(loss.value.item(), math.log(2), rel_tol=1e-12)
    assert loss.metrics == {"accuracy": 0.5, "margin": 0.0, "chosen_reward": 0.0, "rejected_reward": 0.0}


def test_metrics_are_means_by_weight():
    # Rewards 0.1 * (2, -1, -1, 3) of the completions; the margins of the pairs are 0.3 and -0.4.
    case = Case([[-1.0], [-4.0], [-2.0], [-1.0]], [[-3.0], [-3.0], [-1.0], [-4.0]], [(0, 1), (2, 3)], [3.0, 1.0])
    metrics = DPO(beta=0.1).loss(*case.batch()).metrics
    assert metrics["accuracy"] == pytest.approx(0.75)
    assert metrics["margin"] == pytest.approx((3 * 0.3 - 0.4) / 4)
    assert metrics["chosen_reward"] == pytest.approx((3 * 0.2 - 0.1) / 4)
    assert metrics["rejected_reward"] == pytest.approx((3 * -0.1 + 0.3) / 4)


def test_without_weights_pairs_count_alike():
    case = Case([[-1.0], [-4.0], [-2.0]], [[-3.0], [-3.0], [-1.0]], [(0, 1), (2, 0)], [1.0, 1.0])
    outputs, batch = case.batch()
    weighed = DPO().loss(outputs, batch)
    del batch.labels["pair_weight"]
    plain = DPO().loss(outputs, batch)
    assert plain.value.item() == weighed.value.item()
    assert plain.weight == 2.0


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValueError, match="beta"):
        DPO(beta=0.0)
    with pytest.raises(ValueError, match="label_smoothing"):
        DPO(label_smoothing=0.5)
    assert isinstance(DPO(), PreferenceObjective)
