"""Kill a run anywhere and go on: the same bits as a run that was never killed, and no answer lost."""

import hashlib
import json
import os
import random
import signal
from pathlib import Path

import pytest
from tiny_run import PLACES, kill_at, run_tiny

from harken.feedback.store import FeedbackStore

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
    """Run in a process of its own, forked from this one (which has the imports), to its end or its death."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if kill:
                kill_at(kill[0], int(kill[1]))
            run_tiny(folder, resume=True)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"the run ended with {code}"
    return code


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
    """Kill at random places until fifty kills struck; each run that reaches its end equals the unbroken one."""
    chance, struck, ended = random.Random(0), 0, 0
    folder = tmp_path / "0"
    while struck < 50:
        if go(folder, chance.choice(sorted(PLACES)), str(chance.randint(1, 9))) == -signal.SIGKILL:
            struck += 1
        else:
            same_as(whole, folder)
            ended += 1
            folder = tmp_path / str(ended)
    assert go(folder) == 0
    same_as(whole, folder)
