"""Handwriting: real scans, each number from its own part, and other worlds that do without scikit-learn."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from harken.demo import digits


@pytest.mark.parametrize("test", [False, True])
def test_a_picture_is_scans_of_its_digits_from_its_part(test):
    loaded = load_digits()
    part = slice(-digits.HELD_OUT, None) if test else slice(None, -digits.HELD_OUT)
    scans, names = loaded.images[part], loaded.target[part]
    rng = np.random.default_rng(0)
    for number in ("0", "42", "907"):
        drawn = digits.picture(number, test, rng)
        assert drawn.shape == (8, 8 * len(number), 3)
        assert (drawn == drawn[..., :1]).all()
        for place, name in enumerate(number):
            tile = drawn[:, 8 * place : 8 * place + 8, 0] / 255 * 16
            matches = [n for scan, n in zip(scans, names, strict=True) if np.abs(scan - tile).max() < 0.04]
            assert set(matches) == {int(name)}


def test_every_digit_is_in_both_parts():
    assert min(len(rows) for test in (False, True) for rows in digits.by_digit(test)) >= 30


def test_scans_use_the_whole_range():
    scans = digits.scans()[0]
    assert (scans.min(), scans.max()) == (0, 255)


@pytest.mark.slow
def test_without_scikit_learn_other_worlds_still_load():
    code = (
        "import sys\n"
        "sys.modules['sklearn'] = sys.modules['sklearn.datasets'] = None\n"
        "import harken.demo.world\n"
        "from harken.demo import digits\n"
        "try:\n"
        "    digits.scans()\n"
        "except digits.DigitsUnavailable as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install scikit-learn" in done.stdout, done.stderr
