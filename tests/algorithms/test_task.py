"""Which rows have a target."""

import torch

from harken.algorithms.task import rows_with


def test_whole_targets_count_from_0_and_others_where_they_are_finite():
    like = torch.zeros(3, 2)
    assert rows_with(None, like).tolist() == [False] * 3
    assert rows_with(torch.tensor([-1, 0, 4]), like).tolist() == [False, True, True]
    assert rows_with(torch.tensor([torch.nan, 0.0, torch.inf]), like).tolist() == [False, True, False]
    soft = torch.tensor([[0.5, 0.5], [torch.nan, 1.0], [1.0, 0.0]])
    assert rows_with(soft, like).tolist() == [True, False, True]
