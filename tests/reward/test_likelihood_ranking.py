import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.reward.likelihoods.ranking import log_likelihood


def plain_order(scores: list[float], order: tuple[int, ...], below: tuple[int, ...] = ()) -> float:
    """Plackett-Luce: choose the best of what is left, again and again."""
    out, left = 1.0, [*order, *below]
    for item in order:
        out *= math.exp(scores[item]) / sum(math.exp(scores[other]) for other in left)
        left.remove(item)
    return out


def plain(scores: list[float], tiers: list[tuple[int, ...]], rest: tuple[int, ...]) -> float:
    """The sum over every order that the tiers allow."""
    orders = itertools.product(*(itertools.permutations(tier) for tier in tiers))
    return sum(plain_order(scores, tuple(itertools.chain(*order)), rest) for order in orders)


def found(scores: list[float], tiers: list[tuple[int, ...]], rest: tuple[int, ...] = (), padding: int = 0) -> float:
    items = [*itertools.chain(*tiers), *rest] + [0] * padding
    tier = [t for t, each in enumerate(tiers) for _ in each] + [len(tiers)] * len(rest) + [-1] * padding
    column = torch.tensor(scores, dtype=torch.float64)[torch.tensor(items)][None, :, None]
    out = log_likelihood(column, torch.tensor([tier]), torch.tensor([len(tiers)]))
    return float(out[0, 0].exp())


@st.composite
def rankings(draw):
    """Scores of up to seven items, in tiers, the last few not ranked."""
    n = draw(st.integers(1, 7))
    items = draw(st.permutations(range(n)))
    cuts = sorted(draw(st.sets(st.integers(1, n - 1), max_size=3))) if n > 1 else []
    parts = [tuple(items[a:b]) for a, b in itertools.pairwise([0, *cuts, n])]
    rest = parts.pop() if len(parts) > 1 and draw(st.booleans()) else ()
    return draw(st.lists(st.floats(-4, 4), min_size=n, max_size=n)), parts, rest


@given(rankings(), st.integers(0, 2))
@settings(max_examples=40)
def test_sum_over_the_orders_that_tiers_allow(ranking, padding):
    scores, tiers, rest = ranking
    assert found(scores, tiers, rest, padding) == pytest.approx(plain(scores, tiers, rest), rel=1e-9)


@given(rankings(), st.floats(-100, 100))
@settings(max_examples=25)
def test_only_differences_count(ranking, shift):
    scores, tiers, rest = ranking
    assert found([s + shift for s in scores], tiers, rest) == pytest.approx(found(scores, tiers, rest), rel=1e-9)


@pytest.mark.parametrize("top", [1, 2, 4])
def test_all_rankings_are_one_distribution(top):
    scores = [0.3, -1.2, 2.0, 0.1]
    orders = list(itertools.permutations(range(4), top))
    rests = [tuple(i for i in range(4) if i not in order) for order in orders]
    total = sum(found(scores, [(i,) for i in order], rest) for order, rest in zip(orders, rests, strict=True))
    assert total == pytest.approx(1.0)


def test_two_items_are_bradley_terry_and_one_tier_says_nothing():
    assert found([1.0, -0.5], [(0,), (1,)]) == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert found([1.0, -0.5, 2.0], [(0, 1, 2)]) == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_scores_are_finite_with_finite_slopes(dtype):
    values = (-1e4, 0.0, 1e4, 1e4, -1e4, 3.0)
    scores = torch.tensor(values, dtype=dtype)[:, None].requires_grad_()
    items = torch.tensor([list(range(6)), list(range(5, -1, -1)), list(range(6))])
    tier = torch.tensor([[0, 0, 0, 1, 2, 2], [0, 0, 0, 0, 0, 1], [0, 1, 2, 2, 2, -1]])
    out = log_likelihood(scores[items], tier, torch.tensor([2, 2, 2]))
    assert torch.isfinite(out).all()
    (slope,) = torch.autograd.grad(out.sum(), scores)
    assert torch.isfinite(slope).all()


def test_gradients():
    scores = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    items = torch.tensor([[0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 0, 0], [2, 1, 4, 5, 0, 0]])
    tier = torch.tensor([[0, 0, 0, 1, 2, 2], [0, 1, 2, -1, -1, -1], [0, 1, 1, 1, -1, -1]])
    assert torch.autograd.gradcheck(lambda s: log_likelihood(s[items], tier, torch.tensor([2, 3, 1])), (scores,))


def test_a_tier_too_large_to_sum_is_refused():
    with pytest.raises(ValueError, match="split the tier"):
        found([0.0] * 10, [tuple(range(9)), (9,)])


def test_no_statements_are_fine():
    none = torch.zeros(0, 3, dtype=torch.long)
    assert log_likelihood(torch.zeros(0, 3, 5), none, none[:, 0]).shape == (0, 5)


def test_statements_of_unlike_tiers_together_are_each_by_itself():
    """Those whose tiers are of the same sizes are summed in one go; which row is whose must not get lost."""
    generator = torch.Generator().manual_seed(5)
    tier = torch.tensor([[0, 0, 1, 2], [2, 1, 0, 0], [1, 0, 1, -1], [0, 1, 2, 3], [1, 1, 0, 2], [0, 0, 1, 1]])
    tiers = torch.tensor([2, 3, 2, 4, 3, 1])
    scores = torch.randn(6, 4, 2, generator=generator, dtype=torch.float64)
    together = log_likelihood(scores, tier, tiers)
    alone = [log_likelihood(scores[m : m + 1], tier[m : m + 1], tiers[m : m + 1])[0] for m in range(6)]
    assert torch.allclose(together, torch.stack(alone))
    # The same sizes in another order of items: what is tied at the top is the third and the fourth.
    turned = log_likelihood(scores[1:2, [2, 3, 1, 0]], torch.tensor([[0, 0, 1, 2]]), torch.tensor([3]))
    assert torch.allclose(together[1], turned[0])
