"""Attention in groups equals attention over keys and values that are spread over the rows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from harken.models.attention import Spread, grouped_attention, groups_of


@settings(max_examples=40)
@given(data=st.data())
def test_equals_spread_attention(data):
    prompts = data.draw(st.integers(1, 4))
    rows = torch.tensor(data.draw(st.lists(st.integers(0, prompts - 1), min_size=1, max_size=7)))
    shared, each = data.draw(st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 2)]))
    past, own, length = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    length = min(length, own)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    query = random(len(rows), shared * each, length, 3)
    parts = [random(prompts, shared, past, 3), random(len(rows), shared, own, 3)]
    parts += [random(prompts, shared, past, 5), random(len(rows), shared, own, 5)]
    groups = groups_of(rows, prompts)
    keys, values = Spread(parts[0], parts[1], groups), Spread(parts[2], parts[3], groups)
    mask = torch.rand(len(rows), 1, length, past + own, generator=generator) < 0.6
    mask[..., -1] = True
    given_mask = mask if data.draw(st.booleans()) else None
    ours = grouped_attention(query, keys, values, given_mask, 0.7)
    spread = [part.repeat_interleave(each, 1) for part in (keys.whole(), values.whole())]
    theirs = scaled_dot_product_attention(query, *spread, attn_mask=given_mask, scale=0.7).transpose(1, 2)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn(ours.shape, generator=generator, dtype=torch.float64)
    found = torch.autograd.grad((ours * weights).sum(), [query, *parts])
    wanted = torch.autograd.grad((theirs * weights).sum(), [query, *parts])
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("rows", [[0, 0, 1, 1], [1, 0, 1, 0], [2, 2, 2], [0, 3, 3, 1]])
def test_groups_name_each_row_once(rows):
    groups = groups_of(torch.tensor(rows), 4)
    prompts, largest = groups.size
    assert largest == max(rows.count(p) for p in rows)
    if groups.slots is None or groups.place is None:
        assert rows == [p for p in range(4) for _ in range(largest)]
        return
    assert groups.slots.shape == (prompts, largest)
    for n, row in enumerate(rows):
        place = int(groups.place[n])
        assert place // largest == row
        assert int(groups.slots.flatten()[place]) == n
    assert len(set(groups.place.tolist())) == len(rows)
