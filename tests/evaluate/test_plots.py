import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from harken.evaluate.metrics.calibration import reliability_bins
from harken.evaluate.metrics.win_rate import win_rate
from harken.evaluate.plots import Bar, Series, bars, curves, gold_against_proxy, outcomes, reliability, smoothed

NAMES = "<a> & $b$ \"id='x'\" url(#q) 中文"


def drawings():
    x = np.arange(30)
    rate = win_rate([1, 2, 3, 1], [0, 2, 1, 4])
    return {
        "curves": curves((Series(NAMES, x, x**2), Series("right", x, -x, axis="right")), NAMES, "x", "y", "z"),
        "smoothed": curves((smoothed("reward", x, np.sin(x), 5),), NAMES, "step", "reward"),
        "gold": gold_against_proxy(np.sqrt(x), x, np.log1p(x), NAMES),
        "reliability": reliability(reliability_bins([0.1, 0.7, 0.8], [0, 1, 1]), NAMES),
        "outcomes": outcomes({NAMES: rate, "other": rate}, NAMES),
        "bars": bars({"before": [Bar(NAMES, 0.4, 0.3, 0.5)], "after": [Bar(NAMES, 0.6)]}, NAMES, "share", (0.0, 1.0)),
    }


@pytest.fixture(scope="module")
def drawn():
    return drawings()


def test_each_is_an_svg_with_its_name_and_the_words_as_they_were(drawn):
    for name, svg in drawn.items():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("role") == "img", name
        title = root.find("{*}title")
        assert title is not None and title.text == NAMES and root.get("aria-labelledby") == title.get("id")
        words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        if name in ("curves", "outcomes", "bars"):
            assert NAMES in words, name


def test_the_same_input_gives_the_same_bytes_and_no_date(drawn):
    assert drawings() == drawn
    assert all("<metadata" not in svg and "dc:" not in svg for svg in drawn.values())


def test_ids_are_the_drawings_own_and_resolve(drawn):
    seen = set()
    for svg in drawn.values():
        ids = {element.get("id") for element in ElementTree.fromstring(svg).iter()} - {None}
        assert not ids & seen
        seen |= ids
        used = {e.get("href") for e in ElementTree.fromstring(svg).iter() if e.get("href")}
        assert {href[1:] for href in used} <= ids
        clips = {e.get("clip-path") for e in ElementTree.fromstring(svg).iter() if e.get("clip-path")}
        assert {clip[5:-1] for clip in clips} <= ids


def test_smoothing_is_the_moving_mean_and_its_spread():
    found = smoothed("r", [0, 1, 2, 3], [1.0, 3.0, 5.0, 3.0], 3)
    assert np.allclose(found.y, [2, 3, 11 / 3, 4])
    assert np.allclose(np.asarray(found.high) - found.y, [1, np.sqrt(8 / 3), np.sqrt(8 / 9), 1])
    assert np.allclose(smoothed("r", [0, 1], [1.0, 3.0], 1).y, [1, 3])


def test_gaps_and_single_points_are_drawn():
    svg = curves((Series("gaps", [0, 1, 2, 3], [1, np.nan, 2, 3]), Series("one", [0], [1])), "t", "x", "y")
    assert svg.count("<use") > 0


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: curves((), "t", "x", "y"), "at least one series"),
        (lambda: curves((Series("s", [1, 2], [1]),), "t", "x", "y"), "series 's'"),
        (lambda: curves((Series("s", [1], [1], low=[0]),), "t", "x", "y"), "both its edges"),
        (lambda: smoothed("s", [1, 2], [1, 2], 0), "window"),
        (lambda: smoothed("s", [1, 2], [1], 3), "2 values of x"),
        (lambda: gold_against_proxy([1, 2], [1, 2], [1], "t"), "1 of gold"),
        (lambda: reliability(reliability_bins([0.5], [1])[:2]), "no bin"),
        (lambda: outcomes({}, "t"), "at least one row"),
        (lambda: bars({}, "t", "x"), "same, at least one"),
        (lambda: bars({"a": [Bar("r", 1.0)], "b": [Bar("q", 1.0)]}, "t", "x"), "same, at least one"),
    ],
)
def test_wrong_input_is_refused(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()


@pytest.mark.slow
def test_matplotlib_comes_with_the_first_plot_only_and_torch_not_at_all():
    code = (
        "import sys, harken.evaluate.report as r, harken.evaluate.plots as p\n"
        "assert 'matplotlib' not in sys.modules\n"
        "p.curves((p.Series('s', [0, 1], [1, 2]),), 't', 'x', 'y')\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
