"""Drawings of a search."""

import pytest

from harken.evaluate.svg import check_svg
from harken.evaluate.trials_plot import Dot, Setting, progress, slices

DOTS = [
    Dot(-1.0, True, ((1, -2.0), (2, -1.0))),
    Dot(-0.9, True, ((1, -1.9), (2, -0.9))),
    Dot(-50.0, True, ((1, -50.0),)),
    *(Dot(-0.9 - n / 50, True, ((1, -2.0), (2, -0.9 - n / 50))) for n in range(6)),
    Dot(-1.8, False, ((1, -1.8),)),
]
RATE = Setting("rate", (1e-4, 1e-3, 1.0, *(1e-3,) * 6, 1e-5), log=True)
DECAY = Setting("decay", ("none", "cosine", *("none",) * 8), names=("none", "cosine"))


def test_settings_and_progress_are_plain_drawings():
    svg = check_svg(slices(DOTS, [RATE, DECAY], "Settings", "measure"))
    assert svg == slices(DOTS, [RATE, DECAY], "Settings", "measure")
    for words in ("rate", "decay", "cosine", "0.001", "best", "ended early", "far below"):
        assert words in svg
    assert "mathdefault" not in svg
    assert "best" in check_svg(progress(DOTS, "Along training", "measure"))


def test_one_trial_and_early_ends_alone_can_be_drawn():
    alone = check_svg(slices(DOTS[:1], [Setting("rate", (1.0,))], "t", "m"))
    assert "rate" in alone and "best" in alone
    assert "rate" in check_svg(slices(DOTS[-1:], [Setting("rate", (1.0,))], "t", "m"))
    assert "m" in check_svg(progress(DOTS[-1:], "t", "m"))


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="at least one trial"):
        slices([], [RATE], "t", "m")
    with pytest.raises(ValueError, match="'rate': 10 values for 1 trials"):
        slices(DOTS[:1], [RATE], "t", "m")
    with pytest.raises(ValueError, match="no trial was measured"):
        progress([Dot(1.0, True)], "t", "m")
