import pytest
import torch
from plain_likelihoods import grade

from harken.reward.likelihoods.rating import log_likelihood
from harken.reward.wording import SPREADS, Wording


@pytest.mark.parametrize("levels", [2, 3, 5, 11])
def test_thresholds_begin_even_and_stay_in_order(levels):
    wording = Wording(["ada"], [levels])
    found = wording.thresholds(levels)
    assert len(found) == levels - 1
    assert found.mean().item() == pytest.approx(0.0, abs=1e-5)
    if levels > 2:
        assert (found[-1] - found[0]).item() == pytest.approx(3.0, rel=1e-5)
        with torch.no_grad():
            wording.gaps[str(levels)].normal_(0.0, 5.0, generator=torch.Generator().manual_seed(0))
        assert (wording.thresholds(levels).diff() > 0).all()


def test_annotators_differ_about_the_average_one():
    wording = Wording(["ada", "ben", "cy"], [5])
    who = torch.arange(3)
    assert wording.reliability(who).tolist() == [[1.0]] * 3
    with torch.no_grad():
        wording.log_reliability.copy_(torch.tensor([3.0, 4.0, 5.0]))
        wording.log_scale.copy_(torch.tensor([0.0, 0.0, 3.0]))
    assert wording.reliability(who)[:, 0].log().tolist() == pytest.approx([-1, 0, 1], abs=1e-6)
    assert wording.log_fineness(who).tolist() == pytest.approx([-1, -1, 2], abs=1e-6)


def test_the_prior_is_the_density_of_normal_parameters():
    wording = Wording(["ada", "ben"], [5])
    generator = torch.Generator().manual_seed(0)
    plain = 0.0
    for name, spread in SPREADS.items():
        parameter = dict(wording.named_parameters())[name]
        with torch.no_grad():
            parameter.normal_(generator=generator)
        normal = torch.distributions.Normal(0.0, spread)
        plain -= float((normal.log_prob(parameter) - normal.log_prob(torch.zeros(2))).sum())
    assert wording.prior().item() == pytest.approx(plain, rel=1e-5)


def test_nobody_and_no_scale_are_fine():
    wording = Wording([], [])
    assert wording.prior().item() == 0.0
    assert wording.reliability(torch.zeros(0, dtype=torch.long)).shape == (0, 1)


def test_the_panel_s_expected_grade_by_the_probabilities_of_all_grades():
    wording = Wording(["ada", "ben"], [5]).double()
    with torch.no_grad():
        wording.severity.copy_(torch.tensor([0.4, -1.0]))
        wording.log_scale.copy_(torch.tensor([0.3, -0.5]))
    scores = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    fine = wording.log_fineness(torch.arange(2)).exp().tolist()
    thresholds = wording.thresholds(5).tolist()
    for n, row in enumerate(scores.tolist()):
        each = [
            sum(said * grade(score, said, thresholds, float(wording.severity[who]), fine[who]) for said in range(1, 6))
            for score in row
            for who in range(2)
        ]
        assert wording.expected_grade(scores, 5)[n].item() == pytest.approx(sum(each) / len(each))


def test_grades_that_nobody_gives_leave_no_room_and_stop_no_fit():
    wording = Wording(["ann"], [11])
    with torch.no_grad():
        wording.gaps["11"][3:6] = -200.0
    found = wording.thresholds(11)
    assert bool((found.diff() > 0).all())
    found.sum().backward()
    assert bool(torch.isfinite(wording.gaps["11"].grad).all())
    score = torch.zeros(1, 1)
    said = log_likelihood(score, torch.tensor([5]), wording.thresholds(11), torch.zeros(1), torch.zeros(1))
    assert bool(torch.isfinite(said).all())
