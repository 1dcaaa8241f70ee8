"""Twenty steps of every algorithm against the committed curves: bits on the machine that wrote them, 1e-4 elsewhere.

Elsewhere a method that samples is compared over its first steps only: one token that rounding turns over, of thousands,
makes another run of the rest.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from curves import CURVES, curve_of, read_curve
from every_algorithm import ALGORITHMS, STEPS

from harken.pipeline.recipe import rl_algorithms


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS)
def test_twenty_steps_are_as_they_were(name, tmp_path):
    mine, golden = curve_of(name, tmp_path), read_curve(name)
    assert len(mine["steps"]) >= STEPS
    if mine["machine"] == golden["machine"]:
        assert mine == golden
        return
    compared = 2 if name in rl_algorithms() else len(golden["steps"])
    pairs = list(zip(mine["steps"], golden["steps"], strict=True))[:compared]
    for step, (here, there) in enumerate(pairs):
        assert here.keys() == there.keys()
        for key, value in here.items():
            assert value == pytest.approx(there[key], rel=1e-4, abs=1e-4), f"{key} at step {step}"


def test_no_curve_is_left_over():
    assert {path.stem for path in CURVES.glob("*.json")} == set(ALGORITHMS)
