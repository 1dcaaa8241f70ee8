"""Twenty steps of every algorithm against the committed curves: bits on the machine that wrote them, 1e-4 elsewhere."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from curves import CURVES, curve_of, read_curve
from every_algorithm import ALGORITHMS, STEPS


@pytest.mark.slow
@pytest.mark.parametrize("name", ALGORITHMS)
def test_twenty_steps_are_as_they_were(name, tmp_path):
    mine, golden = curve_of(name, tmp_path), read_curve(name)
    assert len(mine["steps"]) >= STEPS
    if mine["machine"] == golden["machine"]:
        assert mine == golden
        return
    for step, (here, there) in enumerate(zip(mine["steps"], golden["steps"], strict=True)):
        assert here.keys() == there.keys()
        for key, value in here.items():
            assert value == pytest.approx(there[key], rel=1e-4, abs=1e-4), f"{key} at step {step}"


def test_no_curve_is_left_over():
    assert {path.stem for path in CURVES.glob("*.json")} == set(ALGORITHMS)
