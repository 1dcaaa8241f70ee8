import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harken.algorithms.overlong import Overlong


def plain(length: int, limit: int, cache: int) -> float:
    """2503.14476, eq. 13."""
    if length <= limit - cache:
        return 0.0
    if length <= limit:
        return ((limit - cache) - length) / cache
    return -1.0


@given(length=st.integers(0, 60), limit=st.integers(1, 40), share=st.floats(0, 1), weight=st.floats(0, 3))
def test_equation_13(length, limit, share, weight):
    cache = max(1, round(share * limit))
    like = torch.zeros(1, dtype=torch.float64)
    found = Overlong(limit, cache, weight).punishment(torch.tensor([length]), like)
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(weight * plain(length, limit, cache))


@pytest.mark.parametrize("wrong", [(10, 0), (10, 11), (10, 5, -1.0)])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="overlong"):
        Overlong(*wrong)
