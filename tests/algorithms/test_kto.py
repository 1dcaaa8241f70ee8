import math
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_reading import batch_of, close, plain_gradient
from preferred import Rows, cases, descend, padded, sums

from harken.algorithms.kto import KTO, kl_baseline
from harken.algorithms.objective import PreferenceObjective
from harken.data.batch import Batch, Outputs

RATIOS = st.lists(st.floats(-20.0, 20.0), min_size=1, max_size=6)


@dataclass(frozen=True)
class Judged:
    """Completions; (row, desirable, weight) of each judgement; log-ratios of mismatched completions."""

    new: Rows
    old: Rows
    judgements: list[tuple[int, bool, float]]
    mismatched: list[float]

    @property
    def mask(self) -> torch.Tensor:
        longest = max(len(row) for row in self.new)
        return torch.tensor([[t < len(row) for t in range(longest)] for row in self.new])

    def batch(self, fill: float = 0.0) -> tuple[Outputs, Batch]:
        rows, good, weights = zip(*self.judgements, strict=True)
        baseline = kl_baseline(torch.tensor(self.mismatched, dtype=torch.float64))
        labels = {
            "judged": torch.tensor(rows),
            "desirable": torch.tensor(good),
            "judgement_weight": torch.tensor(weights, dtype=torch.float64),
            "baseline": baseline.expand(len(rows)),
            "reference_logprobs": padded(self.old, fill),
        }
        return Outputs(logprobs=padded(self.new, fill).requires_grad_()), batch_of(self.mask, labels)


@st.composite
def judged(draw) -> Judged:
    case = draw(cases())
    one = st.tuples(st.integers(0, len(case.new) - 1), st.booleans(), st.floats(0.1, 2.0))
    return Judged(case.new, case.old, draw(st.lists(one, min_size=1, max_size=5)), draw(RATIOS))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@given(case=judged(), beta=st.floats(0.01, 1.0), good=st.floats(0.1, 2.0), bad=st.floats(0.1, 2.0))
@settings(max_examples=50)
def test_equations_7_and_8(case, beta, good, bad):
    z0 = max(0.0, math.fsum(case.mismatched) / len(case.mismatched))

    def plain(new):
        total = 0.0
        for row, desirable, weight in case.judgements:
            r = sums(new)[row] - sums(case.old)[row]
            value = good * sigmoid(beta * (r - z0)) if desirable else bad * sigmoid(beta * (z0 - r))
            total += weight * ((good if desirable else bad) - value)
        return total / math.fsum(weight for _, _, weight in case.judgements)

    outputs, batch = case.batch()
    value, slope = descend(KTO(beta=beta, desirable_weight=good, undesirable_weight=bad), outputs, batch)
    assert close(value, plain(case.new))
    assert torch.allclose(slope, plain_gradient(plain, outputs.logprobs, case.mask), rtol=1e-5, atol=1e-7)


@given(case=judged())
@settings(max_examples=30)
def test_order_padding_and_parts_do_not_matter(case):
    objective = KTO(desirable_weight=1.3)
    value, slope = descend(objective, *case.batch())
    last = len(case.new) - 1
    turned = Judged(
        case.new[::-1], case.old[::-1], [(last - n, *rest) for n, *rest in case.judgements[::-1]], case.mismatched[::-1]
    )
    other, other_slope = descend(objective, *turned.batch(fill=math.nan))
    assert close(value, other)
    assert close(slope, other_slope.flip(0))

    total, whole = 0.0, torch.zeros_like(slope)
    weights = math.fsum(weight for _, _, weight in case.judgements)
    for judgement in case.judgements:
        outputs, batch = replace(case, judgements=[judgement]).batch()
        loss = objective.loss(outputs, batch)
        assert math.isclose(loss.weight, judgement[2])
        total += loss.weight * loss.value.item() / weights
        whole += loss.weight * torch.autograd.grad(loss.value, outputs.logprobs)[0] / weights
    assert close(value, total)
    assert close(slope, whole)


@given(ratios=RATIOS)
def test_the_reference_point_is_the_mean_and_never_below_0(ratios):
    leaf = torch.tensor(ratios, dtype=torch.float64, requires_grad=True)
    found = kl_baseline(leaf)
    assert close(found, max(0.0, math.fsum(ratios) / len(ratios)))
    assert not found.requires_grad


def test_a_step_raises_what_is_desirable_and_lowers_what_is_not():
    case = Judged([[-1.0, -2.0], [-1.0]], [[-1.0, -2.0], [-1.0]], [(0, True, 1.0), (1, False, 1.0)], [0.0])
    _, slope = descend(KTO(), *case.batch())
    assert (slope[0] < 0).all()
    assert slope[1, 0] > 0


def test_metrics_tell_the_two_kinds_apart():
    # Rewards 0.1 * (r - 1): 0.2 for the desirable completion, -0.3 and 0.1 for the others.
    case = Judged(
        [[-1.0], [-3.0], [-2.0]],
        [[-4.0], [-1.0], [-4.0]],
        [(0, True, 1.0), (1, False, 3.0), (2, False, 1.0)],
        [1.0, 1.0],
    )
    metrics = KTO(beta=0.1).loss(*case.batch()).metrics
    assert metrics == pytest.approx(
        {"accuracy": 0.8, "kl_baseline": 1.0, "desirable_reward": 0.2, "undesirable_reward": (-0.9 + 0.1) / 4}
    )
    even = replace(case, new=case.old, mismatched=[0.0])
    assert KTO().loss(*even.batch()).metrics["accuracy"] == 0.5
    alone = replace(case, judgements=[(0, True, 1.0)])
    assert "undesirable_reward" not in KTO().loss(*alone.batch()).metrics


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValueError, match="beta"):
        KTO(beta=0.0)
    with pytest.raises(ValueError, match="weights"):
        KTO(undesirable_weight=-1.0)
    assert isinstance(KTO(), PreferenceObjective)
