"""kill -9 under sixteen clients: every acknowledged answer is there once, overlap is exact, nothing is stuck."""

import secrets
from pathlib import Path

import pytest
from benchmarks.studio.kill import kill_rounds

NOTHING = dict.fromkeys(("lost", "doubled", "over", "stuck"), 0)


def wrong(found: dict[str, int]) -> dict[str, int]:
    return {name: found[name] for name in NOTHING}


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "feedback.db")
    return str(request.getfixturevalue("postgresql").new(f"kill_{secrets.token_hex(6)}"))


@pytest.mark.slow
def test_nothing_is_lost(place: str, tmp_path: Path):
    found = kill_rounds(place, tmp_path, rounds=3, clients=16, seed=1)
    assert wrong(found) == NOTHING
    assert found["stored"] >= found["acknowledged"] > 500 * 3


@pytest.mark.soak
def test_nothing_is_lost_in_fifty_rounds(place: str, tmp_path: Path):
    found = kill_rounds(place, tmp_path, rounds=50, clients=16, seed=2)
    assert wrong(found) == NOTHING
    assert found["stored"] >= found["acknowledged"] > 500 * 50
