import torch

from harken.algorithms.group import group_totals


def test_totals_and_sizes_of_ragged_groups_in_any_order():
    totals, sizes = group_totals(torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([7, 2, 7, 7]))
    assert totals.tolist() == [13.0, 2.0, 13.0, 13.0]
    assert sizes.tolist() == [3.0, 1.0, 3.0, 3.0]
