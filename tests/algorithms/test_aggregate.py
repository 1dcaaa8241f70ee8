import pytest
import torch
from plain_reading import close, flat, mean, random_rollout, rows

from harken.algorithms.aggregate import aggregate


@pytest.mark.parametrize("seed", range(3))
def test_each_way_against_a_plain_reading(seed):
    rollout = random_rollout(seed, n=8)
    dropped = torch.arange(8) % 3 == 0
    mask = rollout.mask & ~dropped[:, None]
    kept = [row for row in rows(rollout.values, mask) if row]
    ways = {
        "token": (mean(flat(kept)), len(flat(kept))),
        "sequence": (mean([mean(row) for row in kept]), len(kept)),
        "constant": (mean([sum(row) / 16 for row in kept]), len(kept)),
    }
    for how, (value, weight) in ways.items():
        found, over = aggregate(rollout.values, mask, how, 16)
        assert close(found, value), how
        assert over == weight


@pytest.mark.parametrize("how", ["token", "sequence", "constant"])
def test_nothing_is_a_mean_over_nothing(how):
    value, weight = aggregate(torch.ones(2, 3), torch.zeros(2, 3, dtype=torch.bool), how, 4)
    assert (float(value), weight) == (0.0, 0.0)


def test_a_constant_without_a_length_is_refused():
    with pytest.raises(ValueError, match="length"):
        aggregate(torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool), "constant")
