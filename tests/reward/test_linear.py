import pytest
import torch
from torch import Tensor

from harken.reward.linear import LinearConfig, fit_lines, prior_lines
from harken.reward.objective import weighed_log_likelihood
from harken.reward.wording import Wording

pytestmark = pytest.mark.slow

WEIGHTS = {"comparison": 1.0, "rating": 1.0, "ranking": 1.0}


def world(seed: int, rows: int = 150, width: int = 5, noise: float = 0.3) -> tuple[Tensor, Tensor]:
    """Features of different spreads, of which two nearly copy each other, and the scores that people judge by."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    x[:, -1] = x[:, 0] + 0.05 * x[:, -1]
    x = x * torch.tensor([1.0, 10.0, 0.1, 1.0, 1.0]) + 3.0
    gold = (x - x.mean(0)) / x.std(0) @ torch.tensor([1.0, -1.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    return x, gold + noise * torch.randn(rows, generator=generator, dtype=torch.float64)


def compared(gold: Tensor, count: int, seed: int, members: int = 1, who: Tensor | None = None) -> dict[str, Tensor]:
    """Comparisons by Bradley and Terry."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randint(len(gold), (count,), generator=generator)
    b = (a + 1 + torch.randint(len(gold) - 1, (count,), generator=generator)) % len(gold)
    wins = torch.rand(count, generator=generator, dtype=torch.float64) < torch.sigmoid(gold[a] - gold[b])
    weight = torch.ones(count, 1, dtype=torch.float64)
    if members > 1:
        weight = torch.poisson(weight.expand(-1, members), generator=generator)
    return {
        "comparison.a": a,
        "comparison.b": b,
        "comparison.choice": (~wins).long(),
        "comparison.annotator": torch.zeros(count, dtype=torch.long) if who is None else who,
        "comparison.weight": weight,
    }


def fitted(x: Tensor, said: dict[str, Tensor], wording: Wording, **changes):
    return fit_lines(x, said, wording, LinearConfig(**changes), list(range(len(x))), WEIGHTS)


def agreement(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


def test_it_finds_the_scores_that_people_judged_by():
    x, gold = world(0)
    lines = fitted(x, compared(gold, 3000, 0), Wording(["ada"]))
    assert agreement(lines(x)[:, 0], gold) > 0.95
    fresh, unseen = world(1)
    assert agreement(lines(fresh)[:, 0], unseen) > 0.9


@pytest.mark.parametrize("members", [1, 3])
def test_at_the_end_every_slope_is_zero(members):
    """A plain reading of what is to be maximised, differentiated at what was found."""
    x, gold = world(0)
    said, wording = compared(gold, 800, 0, members), Wording(["ada"]).double()
    lines = fitted(x, said, wording, penalties=(5.0,), tolerance=1e-14)
    standard = (x - x.mean(0)) / x.std(0, correction=0)
    weight = lines.weight.clone().requires_grad_()
    total, _, _ = weighed_log_likelihood(standard @ weight, said, wording, WEIGHTS)
    loss = 2.5 * weight.square().sum() / members - total.mean() + wording.prior()
    slopes = torch.autograd.grad(loss, [weight, *wording.parameters()], materialize_grads=True)
    assert max(float(slope.abs().max()) for slope in slopes if slope.numel()) < 1e-3


def test_members_differ_by_their_bootstrap_and_more_answers_bring_them_together():
    x, gold = world(0)
    few, many = (fitted(x, compared(gold, n, 0, 6), Wording(["ada"]), penalties=(3.0,))(x) for n in (100, 5000))
    assert few.std(1).mean() > 2.5 * many.std(1).mean() > 0


def test_features_scaled_and_moved_are_the_same_features():
    x, gold = world(0)
    said = compared(gold, 500, 0)
    one = fitted(x, said, Wording(["ada"]))(x)
    moved = x * torch.tensor([2.0, 1e-3, 1e4, 1.0, 1.0]) - 7.0
    assert torch.allclose(one, fitted(moved, said, Wording(["ada"]))(moved), atol=1e-3)


def test_the_same_answers_give_the_same_bits():
    x, gold = world(0)
    said = compared(gold, 300, 0, 4)
    assert torch.equal(fitted(x, said, Wording(["ada"])).weight, fitted(x, said, Wording(["ada"])).weight)


def test_who_answers_by_chance_and_who_leans_left_are_found_out():
    x, gold = world(0, noise=0.0)
    who = torch.arange(3000) % 3
    said = compared(2 * gold, 3000, 0, who=who)
    generator = torch.Generator().manual_seed(0)
    said["comparison.choice"] = torch.where(
        who == 1, torch.randint(2, (3000,), generator=generator), said["comparison.choice"]
    )
    left = (who == 2) & (torch.rand(3000, generator=generator) < 0.6)
    said["comparison.choice"] = torch.where(left, 0, said["comparison.choice"])
    wording = Wording(["careful", "chance", "left"])
    fitted(x, said, wording)
    careful, chance, _ = wording.reliability(torch.arange(3))[:, 0].tolist()
    assert careful > 4 * chance
    assert wording.side[2] > 0.8 > abs(wording.side[0])


def test_severities_come_out_in_order_and_who_said_little_is_held_to_the_average():
    x, gold = world(0)
    generator = torch.Generator().manual_seed(0)
    truth = [-1.5, 0.0, 1.5, 1.5]
    counts = [500, 500, 500, 3]
    who = torch.cat([torch.full((n,), i) for i, n in enumerate(counts)])
    item = torch.randint(len(x), (len(who),), generator=generator)
    uniform = torch.rand(len(who), generator=generator, dtype=torch.float64)
    heard = gold[item] - torch.tensor(truth)[who] + (uniform / (1 - uniform)).log()
    grade = (heard[:, None] > torch.tensor([-2.0, -0.7, 0.7, 2.0])).sum(1)
    said = {
        "rating.item": item,
        "rating.grade": grade,
        "rating.levels": torch.full_like(item, 5),
        "rating.annotator": who,
        "rating.weight": torch.ones(len(who), 1, dtype=torch.float64),
    }
    wording = Wording(["mild", "middle", "severe", "silent"])
    fitted(x, said, wording)
    mild, middle, severe, silent = wording.severity.tolist()
    assert mild + 1.0 < middle < severe - 1.0
    assert abs(silent) < severe - middle


def test_the_penalty_is_chosen_by_what_is_said_of_rows_left_out():
    x, gold = world(0, rows=40)
    generator = torch.Generator().manual_seed(0)
    x = torch.cat([x, torch.randn(40, 60, generator=generator, dtype=torch.float64)], 1)
    few = fitted(x, compared(gold, 80, 0), Wording(["ada"]))
    many = fitted(world(0)[0], compared(world(0)[1], 4000, 0), Wording(["ada"]))
    assert few.penalty > many.penalty


def test_what_cannot_be_fitted_is_an_error():
    x, gold = world(0)
    x[3, 1] = float("nan")
    with pytest.raises(ValueError, match="feature 1 of row 3 is nan"):
        fitted(x, compared(gold, 10, 0), Wording(["ada"]))
    with pytest.raises(ValueError, match="no feedback"):
        fitted(world(0)[0], {}, Wording(["ada"]))
    with pytest.raises(ValueError, match="penalties above 0"):
        LinearConfig(penalties=(0.0,))


def test_members_differ_where_nothing_was_said_and_their_mean_is_pulled_to_zero():
    """Each member's penalty pulls to a line of its own (1810.05546): the slopes of that, in double precision."""
    x, gold = world(0)
    standard = (x - x.mean(0)) / x.std(0, correction=0)
    said, wording = compared(gold, 300, 0, 4), Wording(["ada"]).double()
    lines = fitted(x, said, wording, penalties=(5.0,), tolerance=1e-14, prior=2.0)
    priors = 2.0 / 5.0**0.5 * prior_lines(x.shape[1], 4)
    weight = lines.weight.clone().requires_grad_()
    total, _, _ = weighed_log_likelihood(standard @ weight, said, wording, WEIGHTS)
    loss = 2.5 * (weight - priors).square().sum() / 4 - total.mean() + wording.prior()
    slopes = torch.autograd.grad(loss, [weight, *wording.parameters()], materialize_grads=True)
    assert max(float(slope.abs().max()) for slope in slopes if slope.numel()) < 1e-3
    silent = {**said, "comparison.weight": said["comparison.weight"] * 0}
    assert torch.allclose(fitted(x, silent, Wording(["ada"]), penalties=(5.0,), prior=2.0).weight, priors, atol=1e-6)


@pytest.mark.parametrize("members", [1, 2, 5])
def test_prior_lines_sum_to_zero_and_are_the_same_again(members):
    drawn = prior_lines(2000, members)
    assert drawn.shape == (2000, members) and float(drawn.sum(1).abs().max()) < 1e-12
    assert torch.equal(drawn, prior_lines(2000, members))
    if members > 1:
        assert float(drawn[:, 0].std()) == pytest.approx(1.0, abs=0.1)
