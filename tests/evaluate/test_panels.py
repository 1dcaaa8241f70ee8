"""Small plots side by side: one a line, all named, the same bytes each time."""

import pytest

from harken.evaluate.panels import panels
from harken.evaluate.plots import Series


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_each_line_has_its_panel_and_its_name(count):
    lines = [Series(f"line {n}", [0.0, 1.0, 2.0], [n, n + 1.0, n]) for n in range(count)]
    drawn = panels(lines, "all of a run", "step")
    assert drawn == panels(lines, "all of a run", "step")
    assert all(f"line {n}" in drawn for n in range(count))
    assert drawn.count(">step<") == min(2, count)
    assert "all of a run" in drawn


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match="at least one line"):
        panels([], "nothing", "step")
    with pytest.raises(ValueError, match="'x': 2 values of x for 1 of y"):
        panels([Series("x", [0.0, 1.0], [1.0])], "odd", "step")
