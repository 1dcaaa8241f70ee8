"""Both sides of a row in turn, and what came of it. Standard library only: the parent holds next to no memory."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.trl.rows import Row

ROOT = Path(__file__).parents[2]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


class SideError(RuntimeError):
    """A side gave up; the message ends with what it wrote."""


@dataclass(frozen=True)
class Plan:
    """How a row is measured.

    Attributes:
        steps: measured steps of each side.
        warmup: steps before them.
        threads: of each side.
        trl_python: the interpreter that has TRL.
        models: a folder for each size of vocabulary.
    """

    steps: int
    warmup: int
    threads: int
    trl_python: str
    models: dict[int, Path]

    def of(self, row: Row) -> "Plan":
        """The plan for a row, whose steps may be fewer."""
        if row.steps is None or row.steps >= self.steps:
            return self
        return replace(self, steps=row.steps, warmup=min(self.warmup, 1))


@dataclass
class Taken:
    """What one side's measured steps took.

    Attributes:
        seconds: of each step.
        cpu: processor seconds of each step; other work on the machine adds little to these.
        peak_mib: the most memory held in any step.
        base_mib: held when all was loaded, before the first step.
        more: what else the side said.
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    base_mib: float = 0.0
    more: dict[str, list[float]] = field(default_factory=dict)


class Side:
    """One side's process."""

    def __init__(self, name: str, python: str, row: Row, plan: Plan):
        self.name = name
        command = [python, "-m", f"benchmarks.trl.{name}_side", "--row", row.to_json()]
        command += ["--model", str(plan.models[row.vocabulary])]
        command += ["--steps", str(plan.warmup + plan.steps), "--threads", str(plan.threads)]
        environment = {**os.environ, **QUIET, **dict.fromkeys(THREADS, str(plan.threads))}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._wrote: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self.taken = Taken()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._wrote = [*self._wrote[-40:], line]

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._reader.join(1)
            raise SideError(f"{self.name} ended with {self._process.returncode}:\n{''.join(self._wrote)}")
        said: dict[str, Any] = json.loads(line)
        return said

    def ready(self) -> str:
        """Wait until all is loaded; gives the fingerprint of the tokens."""
        said = self._hear()
        self.taken.base_mib = said["base_mib"]
        for name in said.keys() - {"ready", "tokens", "base_mib"}:
            self.taken.more[name] = [said[name]]
        return str(said["tokens"])

    def step(self, counts: bool) -> None:
        """One step; it goes into the figures if it counts."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        said = self._hear()
        self.taken.peak_mib = said["peak_mib"]
        if counts:
            self.taken.seconds.append(said["seconds"])
            self.taken.cpu.append(said["cpu"])
            for name in said.keys() - {"seconds", "cpu", "peak_mib"}:
                self.taken.more.setdefault(name, []).append(said[name])

    def close(self) -> None:
        """The process is over, whatever it was doing."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def measure(row: Row, plan: Plan) -> dict[str, Any]:
    """Both sides of a row, step by step in turn.

    Raises:
        SideError: if a side gave up, or the two were fed different tokens.
    """
    plan = plan.of(row)
    sides = [] if row.alone else [Side("trl", plan.trl_python, row, plan)]
    sides.append(Side("harken", sys.executable, row, plan))
    try:
        if len({side.ready() for side in sides}) > 1:
            raise SideError(f"{row.name}: the two sides read different tokens")
        for step in range(plan.warmup + plan.steps):
            for side in sides:
                side.step(counts=step >= plan.warmup)
    finally:
        for side in sides:
            side.close()
    return figures({side.name: side.taken for side in sides})


def figures(taken: dict[str, Taken]) -> dict[str, Any]:
    """Medians, ratios and memory of a row, by their keys in the JSON."""
    out: dict[str, Any] = {}
    for name, side in taken.items():
        out[f"{name}_s"] = median(side.seconds)
        out[f"{name}_mib"] = side.peak_mib
    if "trl" in taken:
        trl, harken = taken["trl"], taken["harken"]
        out["ratio"] = out["trl_s"] / out["harken_s"]
        out["memory"] = out["harken_mib"] / out["trl_mib"]
        out["cpu_ratio"] = median(trl.cpu) / median(harken.cpu)
    out["steps"] = len(taken["harken"].seconds)
    for name, side in taken.items():
        out[f"{name}_cpu_s"] = median(side.cpu)
        out[f"{name}_base_mib"] = side.base_mib
        out[f"{name}_steps_s"] = side.seconds
        for more, values in side.more.items():
            out[f"{name}_{more}" + ("" if more.endswith("_s") else "_s")] = median(values)
    return out
