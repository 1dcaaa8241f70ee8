"""kill -9 under sixteen clients: every acknowledged answer is there once, overlap is exact, nothing is stuck."""

import secrets
from pathlib import Path

import pytest
from benchmarks.studio.kill import kill_rounds


def check(found: dict[str, int]) -> None:
    assert found["acknowledged"] > 500 * found["rounds"]
    assert found["stored"] >= found["acknowledged"]
    assert {name: found[name] for name in ("lost", "doubled", "over", "stuck")} == dict.fromkeys(
        ("lost", "doubled", "over", "stuck"), 0
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "feedback.db")
    return str(request.getfixturevalue("postgresql").new(f"kill_{secrets.token_hex(6)}"))


@pytest.mark.slow
def test_nothing_is_lost(place: str, tmp_path: Path):
    check(kill_rounds(place, tmp_path, rounds=3, clients=16, seed=1))


@pytest.mark.soak
def test_nothing_is_lost_in_fifty_rounds(place: str, tmp_path: Path):
    check(kill_rounds(place, tmp_path, rounds=50, clients=16, seed=2))
