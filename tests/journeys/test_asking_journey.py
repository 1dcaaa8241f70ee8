"""Twice round with pairs that the first round's reward model chooses; killed while it chooses and while it asks."""

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest
from tiny_run import kill_at, run_tiny

from harken.feedback.store import FeedbackStore
from harken.pipeline.run import Progress
from harken.types import Comparison

HOW = [
    "rounds=2",
    "feedback.select.policy=d_optimal",
    "feedback.select.batch=3",
    "feedback.comparisons=12",
    "completions.each=3",
    "align.human_only=false",
]


class Ear(Progress):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)


def killed(folder: Path, place: str, count: int) -> bool:
    """Whether a run in a process of its own died at the COUNT-th call of a place."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            kill_at(place, count)
            run_tiny(folder, *HOW, resume=True)
            status = 0
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def hashes(folder: Path) -> dict[str, str]:
    names = ["rounds/1/selection.jsonl", "rounds/2/selection.jsonl", "reward/model.safetensors"]
    names += ["reward/heads.safetensors", "aligned/model.safetensors"]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@pytest.mark.slow
def test_the_second_round_asks_what_the_first_does_not_know(tmp_path):
    whole, ear = tmp_path / "whole", Ear()
    run_tiny(whole, *HOW, progress=ear)
    assert any(text.startswith("round 1: 12 pairs, all at random") for text in ear.heard)
    assert any(text.startswith("round 2: ") and "by 'd_optimal'" in text for text in ear.heard)
    lines = {r: (whole / f"rounds/{r}/selection.jsonl").read_text().splitlines() for r in (1, 2)}
    chosen = {r: [json.loads(line) for line in lines[r]] for r in (1, 2)}
    assert {one["how"] for one in chosen[1]} == {"random"}
    assert {one["how"] for one in chosen[2]} == {"random", "d_optimal"}
    with FeedbackStore(whole / "feedback.db") as store:
        asked = {frozenset((a.feedback.a, a.feedback.b)) for a in store.answers() if isinstance(a.feedback, Comparison)}
    assert asked == {frozenset((one["a"], one["b"])) for r in (1, 2) for one in chosen[r]}
    assert "by &#39;d_optimal&#39;" in (whole / "report.html").read_text()
    # In the first round's answers; before the second's choice is marked; in its answers; before they are marked.
    folder, places = tmp_path / "killed", {"an answer": (8, 5), "marking a stage": (7, 1)}
    struck = [killed(folder, place, places[place][turn]) for turn in (0, 1) for place in places]
    assert all(struck), "a kill did not strike"
    run_tiny(folder, *HOW, resume=True)
    assert hashes(folder) == hashes(whole)
    with FeedbackStore(whole / "feedback.db") as a, FeedbackStore(folder / "feedback.db") as b:
        assert {x.key: x.feedback for x in a.answers()} == {x.key: x.feedback for x in b.answers()}
