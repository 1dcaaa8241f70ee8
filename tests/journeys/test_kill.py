"""Kill a run anywhere and go on: the same bits as a run that was never killed, and no answer lost."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import PLACES

from harken.feedback.store import FeedbackStore

PROGRAM = Path(__file__).parent / "tiny_run.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
# Stages come in the order of the loop, so each kill falls into what the one before left undone.
KILLS = [
    ("a line of metrics", 4),
    ("a checkpoint's file", 2),
    ("a checkpoint before its name", 1),
    ("saving a model", 1),
    ("marking a stage", 1),
    ("sampling a token", 5),
    ("an answer", 7),
    ("fixing the scale", 1),
    ("publishing", 1),
    ("a rollout", 1),
    ("scoring a rollout", 2),
    ("a restored checkpoint", 1),
    ("a checkpoint's file", 5),
    ("a line of metrics", 8),
]


def hashes(folder: Path) -> dict[str, str]:
    names = [
        "sft/model.safetensors",
        "reward/model.safetensors",
        "reward/heads.safetensors",
        "reward/reward.safetensors",
    ]
    names += ["aligned/model.safetensors", "aligned/heads.safetensors", "rounds/1/human_only/model.safetensors"]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def go(folder: Path, *kill: str) -> int:
    done = subprocess.run(
        [sys.executable, PROGRAM, folder, *kill], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def same_as(whole: Path, killed: Path) -> None:
    assert hashes(killed) == hashes(whole)
    figures = [json.loads((folder / "evaluation.json").read_text()) for folder in (whole, killed)]
    assert figures[0] == figures[1]
    lines = [sorted((folder / "metrics.jsonl").read_text().splitlines()) for folder in (whole, killed)]
    assert lines[0] == lines[1]
    with FeedbackStore(whole / "feedback.db") as a, FeedbackStore(killed / "feedback.db") as b:
        assert {x.key: x.feedback for x in a.answers()} == {x.key: x.feedback for x in b.answers()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert go(folder) == 0
    return folder


@pytest.mark.slow
def test_two_runs_of_one_seed_are_the_same_bits(whole, tmp_path):
    assert go(tmp_path) == 0
    same_as(whole, tmp_path)


@pytest.mark.slow
def test_killed_at_many_places(whole, tmp_path):
    killed = [place for place, count in KILLS if go(tmp_path, place, str(count)) == -signal.SIGKILL]
    assert len(killed) >= 10, f"only these kills struck: {killed}"
    assert go(tmp_path) == 0
    same_as(whole, tmp_path)


@pytest.mark.soak
def test_fifty_random_kills(whole, tmp_path):
    chance = random.Random(0)
    struck = 0
    for _ in range(50):
        place = chance.choice(sorted(PLACES))
        struck += go(tmp_path, place, str(chance.randint(1, 9))) == -signal.SIGKILL
    assert go(tmp_path) == 0
    assert struck >= 20
    same_as(whole, tmp_path)
