import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.evaluate.metrics.win_rate import win_rate

pairs = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=25)


def test_a_worked_example():
    found = win_rate([3, 2, 1, 5], [1, 2, 2, 1])
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert found.rate == (2 + 0.5) / 4
    assert found.low <= found.rate <= found.high


def test_small_differences_are_ties():
    found = win_rate([1.0, 1.3, 0.0], [1.1, 1.0, 1.0], tolerance=0.2)
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)


@settings(max_examples=50)
@given(pairs, st.sampled_from([0.0, 1.0]))
def test_what_one_wins_the_other_loses(scores, tolerance):
    a, b = [x for x, _ in scores], [y for _, y in scores]
    one, other = (win_rate(*sides, tolerance=tolerance, resamples=200) for sides in ((a, b), (b, a)))
    assert one.rate + other.rate == pytest.approx(1)
    assert one.low + other.high == pytest.approx(1)
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    plain = sum(1.0 if x - y > tolerance else 0.5 if abs(x - y) <= tolerance else 0.0 for x, y in scores)
    assert one.rate == pytest.approx(plain / len(scores))


@settings(max_examples=30)
@given(pairs, st.randoms())
def test_order_does_not_matter(scores, random):
    mixed = random.sample(scores, len(scores))
    first = win_rate([x for x, _ in scores], [y for _, y in scores], resamples=50)
    second = win_rate([x for x, _ in mixed], [y for _, y in mixed], resamples=50)
    assert (first.rate, first.wins, first.ties) == (pytest.approx(second.rate), second.wins, second.ties)


def test_groups_widen_the_interval():
    a, b = [1] * 40 + [0] * 40, [0] * 40 + [1] * 40
    alone, together = win_rate(a, b), win_rate(a, b, groups=[at // 8 for at in range(80)])
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="2 scores of a for 1 of b"):
        win_rate([1, 2], [1])
    with pytest.raises(ValueError, match="negative"):
        win_rate([1], [1], tolerance=-1.0)
