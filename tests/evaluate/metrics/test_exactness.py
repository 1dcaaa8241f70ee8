import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.evaluate.metrics.exactness import exactness


@settings(max_examples=60)
@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_it_agrees_with_wilsons_formula(flags):
    n, p, z = len(flags), sum(flags) / len(flags), 1.959963984540054
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = exactness(flags)
    assert (found.rate, found.right, found.count) == (p, sum(flags), n)
    assert (found.low, found.high) == (pytest.approx(centre - half, abs=1e-9), pytest.approx(centre + half, abs=1e-9))
    assert 0 <= found.low <= found.rate <= found.high <= 1


def test_all_right_is_still_not_certain():
    found = exactness(np.ones(20, dtype=bool))
    assert found.rate == 1 and found.low == pytest.approx(0.8389, abs=1e-4)


def test_grades_and_nothing_are_refused():
    with pytest.raises(ValueError, match="non-empty"):
        exactness([])
    with pytest.raises(ValueError, match="True or False"):
        exactness([0.5, 1.0])
