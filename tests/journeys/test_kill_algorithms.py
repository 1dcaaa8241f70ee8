"""SIGKILL at random instants of every algorithm, in rollouts, updates, checkpoints and measures: the same weights.

The run is a process of its own. It says in shared memory which place it is in; the test waits for a place and kills it
a random moment later, by a signal that no process sees. `pytest -m soak -s` prints the table of all kills.
"""

import importlib
import mmap
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

from every_algorithm import ALGORITHMS, Training, fingerprint

PLACES = {
    "rollout": ("harken.train.rollout", "Rollouts._roll_out"),
    "update": ("harken.train.loop", "_Training.step"),
    "checkpoint": ("harken.train.checkpoint", "write"),
    "measure": ("harken.train.stopping", "Watch.look"),
}
NUMBER = {place: n + 1 for n, place in enumerate(PLACES)}
SAMPLE = ["grpo", "kto", "online_dpo", "ppo", "reward", "sft"]
STEPS = 8


def announce(place: str, shared: mmap.mmap) -> None:
    """Have a function say in shared memory that it is at work, and the how manieth time."""
    module, name = PLACES[place]
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for step in path:
        owner = getattr(owner, step)
    real, number = getattr(owner, last), NUMBER[place]

    def announced(*args: Any, **kwargs: Any) -> Any:
        outside = shared[0]
        shared[number] += 1
        shared[0] = number
        try:
            return real(*args, **kwargs)
        finally:
            shared[0] = outside

    setattr(owner, last, announced)


def start(name: str, folder: Path, shared: mmap.mmap) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for place in PLACES:
            announce(place, shared)
        model = Training(folder, steps=STEPS, checkpoint_every=2)(name)
        (folder / "fingerprint").write_text(fingerprint(model))
        status = 0
    finally:
        os._exit(status)


def killed(name: str, folder: Path, place: str, count: int, chance: random.Random) -> str | None:
    """Start or go on, and kill it; where it was then, or None if it had ended."""
    shared = mmap.mmap(-1, 8)
    child = start(name, folder, shared)
    while shared[NUMBER[place]] < count or shared[0] != NUMBER[place]:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            return None
    time.sleep(chance.random() * 0.01)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        return None
    return next((place for place, number in NUMBER.items() if number == shared[0]), "between")


def ended(name: str, folder: Path) -> str:
    """Run to the end; the weights' hash."""
    _, status = os.waitpid(start(name, folder, mmap.mmap(-1, 8)), 0)
    assert status == 0
    return (folder / "fingerprint").read_text()


def places_of(name: str) -> list[str]:
    samples = name in {"a2c", "grpo", "online_dpo", "ppo", "reinforce", "rloo", "trpo"}
    return [place for place in PLACES if samples or place != "rollout"]


def same_after(name: str, kills: int, tmp_path: Path, chance: random.Random) -> list[str]:
    """Kill a training so many times, go on each time, and compare its end; where the kills struck."""
    whole = ended(name, tmp_path / "whole")
    struck: list[str] = []
    order = chance.sample(places_of(name), len(places_of(name)))
    for n in range(kills):
        place = killed(name, tmp_path / "killed", order[n % len(order)], chance.randint(1, 2), chance)
        if place is not None:
            struck.append(place)
    assert ended(name, tmp_path / "killed") == whole
    return struck


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLE)
def test_killed_once_or_twice(name, tmp_path):
    assert same_after(name, 2, tmp_path, random.Random(name))


@pytest.mark.soak
def test_killed_at_many_instants(tmp_path, capsys):
    """Every algorithm, four kills each."""
    chance = random.Random(0)
    table = {name: same_after(name, 4, tmp_path / name, chance) for name in ALGORITHMS}
    with capsys.disabled():
        print()
        for name, struck in table.items():
            print(f"{name:12} {len(struck)} kills, then the same weights: {', '.join(struck)}")
        print(f"{sum(map(len, table.values()))} kills in all")
    assert sum(map(len, table.values())) >= 20
    assert {place for struck in table.values() for place in struck} >= set(PLACES)
