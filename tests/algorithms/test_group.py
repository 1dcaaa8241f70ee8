import torch

from harken.algorithms.group import all_equal, group_totals, leave_one_out


def test_totals_and_sizes_of_ragged_groups_in_any_order():
    totals, sizes = group_totals(torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([7, 2, 7, 7]))
    assert totals.tolist() == [13.0, 2.0, 13.0, 13.0]
    assert sizes.tolist() == [3.0, 1.0, 3.0, 3.0]


def test_leave_one_out_and_all_equal_on_ragged_groups():
    prompt = torch.tensor([2, 0, 2, 5, 0, 2])
    values = torch.tensor([1.0, 0.1, 4.0, 9.0, 0.1, 7.0], dtype=torch.float64)
    left = leave_one_out(values, prompt)
    assert left.tolist() == [1 - 5.5, 0.0, 4 - 4.0, 0.0, 0.0, 7 - 2.5]
    assert all_equal(values, prompt).tolist() == [False, True, False, True, True, False]
    assert all_equal(-values, prompt).tolist() == [False, True, False, True, True, False]
