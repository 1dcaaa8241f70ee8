"""Fixed random functions of members keep an ensemble apart where data are silent, and nowhere else (1806.03335)."""

import pytest
import torch

from harken.models.heads import ScalarHeads
from harken.reward.described import DescribedConfig
from harken.reward.linear import LinearConfig, LinePrior, Lines, fit_lines
from harken.reward.objective import weighed_log_likelihood
from harken.reward.wording import Wording

MEMBERS = 6


def heads(prior: float, seed: int = 0) -> ScalarHeads:
    return ScalarHeads(16, MEMBERS, torch.Generator().manual_seed(seed), prior)


def test_heads_begin_as_their_priors_and_without_one_say_nothing():
    states = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    assert not heads(0.0)(states).any()
    spread = heads(1.0)(states).detach().std(1)
    assert 0.2 < float(spread.mean()) < 2.0
    assert torch.allclose(heads(3.0)(states), 3 * heads(1.0)(states), atol=1e-5)
    assert not torch.allclose(heads(1.0)(states), heads(1.0, seed=1)(states))


def test_a_prior_stays_as_it_was_while_heads_learn():
    """The prior's part is what is left when what was learnt is taken away; the norm's weights are no part of it."""
    made, states = heads(1.0), torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    begun = made(states).detach()
    with torch.no_grad():
        made.norm.weight.mul_(3.0)
        made.norm.bias.add_(1.0)
        made.first.add_(1.0)
    assert torch.equal(made(states), begun)
    assert all(not name.startswith("prior") for name, _ in made.named_parameters())
    assert {"prior", "prior_first"} <= set(made.state_dict())


@pytest.mark.slow
def test_heads_agree_where_they_learnt_and_stay_apart_where_they_did_not():
    generator = torch.Generator().manual_seed(0)
    made = heads(2.0)
    learnt = torch.randn(200, 16, generator=generator) * torch.cat([torch.ones(8), torch.zeros(8)])
    silent = torch.randn(200, 16, generator=generator) * torch.cat([torch.zeros(8), torch.ones(8)])
    before = [float(made(rows).detach().std(1).mean()) for rows in (learnt, silent)]
    moved = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(300):
        loss = (made(learnt) - learnt[:, :1]).square().mean()
        moved.zero_grad()
        torch.autograd.backward(loss)
        moved.step()
    after = [float(made(rows).detach().std(1).mean()) for rows in (learnt, silent)]
    assert after[0] < 0.15 * before[0]
    assert after[1] > 3 * after[0]


def said_of(gold: torch.Tensor, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Comparisons without a bootstrap: members differ by their priors alone."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randint(len(gold), (count,), generator=generator)
    b = (a + 1 + torch.randint(len(gold) - 1, (count,), generator=generator)) % len(gold)
    wins = torch.rand(count, generator=generator) < torch.sigmoid(gold[a] - gold[b])
    return {
        "comparison.a": a,
        "comparison.b": b,
        "comparison.choice": (~wins).long(),
        "comparison.annotator": torch.zeros(count, dtype=torch.long),
        "comparison.weight": torch.ones(count, MEMBERS, dtype=torch.float64),
    }


def features(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(80, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, x[:, 0] - x[:, 1]


def fitted(count: int, prior: LinePrior, weight: float = 1.0, **changes: object) -> Lines:
    x, gold = features()
    said = said_of(gold, count)
    said["comparison.weight"] = said["comparison.weight"] * weight
    config = LinearConfig(**{"penalties": (4.0,), "tolerance": 1e-13, **changes})
    return fit_lines(x, said, Wording(["ada"]), config, range(80), {}, prior)


def test_without_data_lines_are_their_priors_and_the_spread_is_the_scale():
    x, _ = features()
    lines = fitted(5, LinePrior(1.5, seed=3), weight=0.0)
    standard = (x - x.mean(0)) / x.std(0, correction=0)
    assert torch.allclose(lines(x), standard @ LinePrior(1.5, seed=3).lines(standard, MEMBERS, 4.0), atol=1e-4)
    many = LinePrior(1.5, seed=3).lines(standard, 4000, 4.0)
    assert float((standard @ many).std(1).square().mean().sqrt()) == pytest.approx(1.5, rel=0.05)
    assert not torch.equal(fitted(5, LinePrior(1.5, seed=4), weight=0.0).weight, lines.weight)


def test_lines_agree_more_the_more_is_said():
    x, _ = features()
    spreads = [float(fitted(count, LinePrior(1.0))(x).std(1).mean()) for count in (5, 100, 2000)]
    assert spreads[0] > 1.3 * spreads[1] > 3 * spreads[2]
    assert float(fitted(100, LinePrior())(x).std(1).max()) < 1e-6


def test_lines_with_priors_are_where_every_slope_is_zero():
    """A plain reading: each member's penalty is on the distance to its own prior line."""
    x, gold = features()
    prior, said, wording = LinePrior(1.0, seed=1), said_of(gold, 300), Wording(["ada"]).double()
    lines = fit_lines(x, said, wording, LinearConfig(penalties=(4.0,), tolerance=1e-14), range(80), {}, prior)
    standard = (x - x.mean(0)) / x.std(0, correction=0)
    held = prior.lines(standard, MEMBERS, 4.0)
    weight = lines.weight.clone().requires_grad_()
    total, _, _ = weighed_log_likelihood(standard @ weight, said, wording, {})
    loss = 2.0 * (weight - held).square().sum() / MEMBERS - total.mean() + wording.prior()
    slopes = torch.autograd.grad(loss, [weight, *wording.parameters()], materialize_grads=True)
    assert max(float(slope.abs().max()) for slope in slopes if slope.numel()) < 1e-3


def test_curves_have_priors_too():
    x, _ = features()
    lines = fitted(5, LinePrior(1.0), weight=0.0, landmarks=80)
    assert float(lines(x).std(1).square().mean().sqrt()) == pytest.approx(1.0, rel=0.5)


def test_a_prior_below_nothing_is_refused():
    with pytest.raises(ValueError, match=r"described\.prior must be a number from 0 up"):
        DescribedConfig(prior=-1.0)


def test_what_nobody_says_is_ruled_out_and_what_somebody_says_is_not():
    """L-BFGS would follow it to minus infinity; a tie that was said once is as likely as it was said."""
    x, gold = features()
    said = said_of(gold, 400)
    never = Wording(["ada"])
    fit_lines(x, said, never, LinearConfig(penalties=(4.0,)), range(80), {})
    assert (float(never.log_tie), float(never.floor)) == (-20.0, -30.0)
    said["comparison.choice"] = torch.where(torch.arange(400) % 4 == 0, 2, said["comparison.choice"])
    ties = Wording(["ada"])
    fit_lines(x, said, ties, LinearConfig(penalties=(4.0,)), range(80), {})
    assert -3.0 < float(ties.log_tie) < 1.0
    assert float(ties.floor) == -30.0
    assert all(p.requires_grad for p in (*never.parameters(), *ties.parameters()))


def test_in_the_penalty_s_unit_coefficients_are_draws_from_its_prior():
    x = torch.randn(50, 2000, dtype=torch.float64)
    drawn = LinePrior(3.0, "penalty").lines(x, 4, 9.0)
    assert float(drawn[:, 0].std()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("members", [1, 2, 5])
def test_prior_lines_sum_to_zero_and_are_the_same_again(members):
    x = torch.randn(50, 20, dtype=torch.float64)
    drawn = LinePrior(1.0).lines(x, members, 1.0)
    assert drawn.shape == (20, members)
    assert float(drawn.sum(1).abs().max()) < 1e-12
    assert torch.equal(drawn, LinePrior(1.0).lines(x, members, 1.0))
