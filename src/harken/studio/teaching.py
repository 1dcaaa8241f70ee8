"""Runs that the studio starts: one at a time, each a process of its own that outlives the studio.

What was started is in the studio's folder (`teach/NAME.json`), with the process's id and the time of its birth, so that
a studio that was started again finds it. The run itself is an ordinary one, beside the studio's folder: `harken run
--resume` in a terminal goes on with it too.
"""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import psutil

Doing = Literal["begin", "train"]
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
LINE = re.compile(r"(\S+): (running|done|current|(\d+)/(\d+)(?: .*)?)")
WAITS = "waits for their answers"
"""What a run says that cannot go on before people have answered (`pipeline/ask.py`)."""
TAIL = 12
EVERY = 3.0
"""Seconds after which it is looked again whether a run has ended."""
LOG = logging.getLogger("harken.studio")
DEMO = {"whole": ("demo",), "quick": ("demo", "--quick")}
"""The demo's own recipe, whole and at a tenth of the work."""


class TeachError(ValueError):
    """Something that cannot be done now; says why."""


@dataclass(frozen=True)
class Job:
    """What was started last.

    Attributes:
        size: the demo's `quick` or `whole` recipe, or the name of a recipe in the studio's folder.
        doing: first the model and its completions; then learning from answers.
        pid: of the process.
        born: when it was, by the machine's clock: another process of the same id is another one.
        stopped: whether it was asked to stop.
        told: whether its end was told.
        evaluations: the evaluations whose answers were shown to people, by their hash, in order.
    """

    size: str
    doing: Doing
    pid: int = 0
    born: float = 0.0
    stopped: bool = False
    told: bool = True
    evaluations: tuple[str, ...] = ()


class Teaching:
    """All runs that a studio started.

    Args:
        folder: of the studio; `recipes/NAME.yaml` in it can be begun besides the demo's own.
        runs: where the runs lie.
        tell: told of each run that has ended.
    """

    def __init__(self, folder: Path, runs: Path, tell: Callable[[dict[str, Any]], None] = lambda told: None):
        self._tell = tell
        self._kept, self._runs, self._recipes = folder / "teach", runs, folder / "recipes"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self.counted: dict[Path, tuple[object, int]] = {}

    @property
    def sizes(self) -> tuple[str, ...]:
        """What can be begun: the demo, and the recipes that the operator put into the studio's folder."""
        return (*DEMO, *sorted(path.stem for path in self._recipes.glob("*.yaml") if path.stem not in DEMO))

    def names(self) -> list[str]:
        """The runs, the newest first."""
        found = sorted(self._kept.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return [path.stem for path in found if NAME.fullmatch(path.stem)]

    def job(self, name: str) -> Job:
        """What was started last of a run.

        Raises:
            TeachError: if the studio started no such run.
        """
        if not NAME.fullmatch(name) or not (self._kept / f"{name}.json").is_file():
            raise TeachError(f"the studio has begun no run {name!r}")
        said = json.loads((self._kept / f"{name}.json").read_text(encoding="utf-8"))
        return Job(**{**said, "evaluations": tuple(said["evaluations"])})

    def folder(self, name: str) -> Path:
        """The run's own folder."""
        return self._runs / name

    def answers(self, name: str) -> Path:
        """What people said, for the run to read."""
        return self._kept / f"{name}.answers.jsonl"

    def going(self) -> str | None:
        """The run that is under way, if one is."""
        return next((name for name in self.names() if self.alive(name)), None)

    def alive(self, name: str) -> bool:
        """Whether a run's process is at work."""
        child, job = self._children.get(name), self.job(name)
        if child is not None and child.pid == job.pid:
            return child.poll() is None
        with suppress(psutil.Error):
            found = psutil.Process(job.pid) if job.pid else None
            return found is not None and abs(found.create_time() - job.born) < 2 and found.status() != "zombie"
        return False

    def begin(self, name: str, size: str) -> None:
        """Start a new run: a first model, and completions for people to answer about.

        Raises:
            TeachError: if it is no name, there is such a folder, or another run is under way.
        """
        if not NAME.fullmatch(name):
            raise TeachError(f"{name!r} is no name of a run: small letters, digits and hyphens, at most 40")
        if size not in self.sizes:
            raise TeachError(f"there is no size {size!r} here; there are {', '.join(self.sizes)}")
        if self.folder(name).exists():
            raise TeachError(f"there is a folder {name!r} beside the studio's already; take another name")
        self._start(name, Job(size, "begin"))

    def go_on(self, name: str, doing: Doing) -> None:
        """Start a run's process again, from where it is.

        Raises:
            TeachError: if there is no such run, or one is under way.
        """
        self._start(name, replace(self.job(name), doing=doing, stopped=False))

    def _start(self, name: str, job: Job) -> None:
        if (other := self.going()) is not None:
            raise TeachError(
                f"the run {other!r} is under way, and this machine teaches one at a time; wait, or stop it"
            )
        self.tell_ended()
        self._kept.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "COLUMNS": "250", "PYTHONUNBUFFERED": "1"}
        with self.log(name).open("wb") as log:
            child = subprocess.Popen(
                self._command(name, job.size),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self._children[name] = child
        born = time.time()
        with suppress(psutil.Error):
            born = psutil.Process(child.pid).create_time()
        self._keep(name, replace(job, pid=child.pid, born=born, told=False))

    def _command(self, name: str, size: str) -> list[str]:
        what = DEMO.get(size, ("run", str(self._recipes / f"{size}.yaml")))
        # Values of overrides are YAML, and JSON's strings are YAML's.
        said = {"name": name, "feedback.annotator": "file", "feedback.answers": str(self.answers(name).resolve())}
        overrides = [f"{key}={json.dumps(value)}" for key, value in said.items()]
        return [sys.executable, "-m", "harken.cli.main", *what, "--out", str(self.folder(name)), "--resume", *overrides]

    def _keep(self, name: str, job: Job) -> None:
        path = self._kept / f"{name}.json"
        draft = path.with_name(path.name + ".writing")
        draft.write_text(json.dumps(asdict(job)) + "\n", encoding="utf-8")
        draft.replace(path)

    def stop(self, name: str) -> None:
        """Have a run end after its step, with a checkpoint; asked twice, it ends at once.

        Raises:
            TeachError: if it is not under way.
        """
        if not self.alive(name):
            raise TeachError(f"the run {name!r} is not under way")
        with suppress(ProcessLookupError):
            os.kill(self.job(name).pid, signal.SIGINT)
        self._keep(name, replace(self.job(name), stopped=True))

    def tell_ended(self) -> None:
        """Tell of runs that ended since, each once, also of those that ended while no studio was at work."""
        for name in self.names():
            job = self.job(name)
            if not (job.told or self.alive(name)):
                # First on the disk: a studio that dies here is silent about a run, and never tells twice.
                self._keep(name, replace(job, told=True))
                self._tell({"name": name, "doing": job.doing, "state": self.progress(name)["state"]})

    async def watch(self) -> None:
        """Tell of runs as they end, until cancelled."""
        while True:
            try:
                self.tell_ended()
            except (OSError, ValueError, TypeError, KeyError) as broken:
                LOG.warning("whether a run has ended cannot be told: %s: %s", type(broken).__name__, broken)
            await asyncio.sleep(EVERY)

    def shown(self, name: str, digest: str) -> int:
        """The number of an evaluation, from 1; a new one is kept."""
        job = self.job(name)
        if digest not in job.evaluations:
            job = replace(job, evaluations=(*job.evaluations, digest))
            self._keep(name, job)
        return job.evaluations.index(digest) + 1

    def log(self, name: str) -> Path:
        """What the run's process says."""
        return self._kept / f"{name}.log"

    def progress(self, name: str) -> dict[str, Any]:
        """How far a run is: what its process said, and the markers of its stages.

        Returns:
            state: `going`, `waiting` (for people's answers), `trained`, `stopped` or `failed`; stages, each with its
            state, its part that is done and the seconds that it took; and the last words of the process.
        """
        job, alive = self.job(name), self.alive(name)
        text = self.log(name).read_text(encoding="utf-8", errors="replace") if self.log(name).is_file() else ""
        stages: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            if (match := LINE.fullmatch(line.strip())) is not None:
                stage = stages.setdefault(match[1], {"name": match[1], "state": "running", "done": 0, "total": 0})
                if match[3] is None:
                    stage["state"] = match[2]
                else:
                    stage |= {"done": int(match[3]), "total": int(match[4])}
        for stage in stages.values():
            stage["seconds"] = self._seconds(name, stage["name"]) if stage["state"] != "running" else None
        return {
            "name": name,
            "size": job.size,
            "doing": job.doing,
            "state": "going" if alive else _ended(text, list(stages.values()), job.stopped),
            "stages": list(stages.values()),
            "words": text.splitlines()[-TAIL:],
        }

    def _seconds(self, name: str, stage: str) -> float | None:
        marker = self.folder(name) / "stages" / f"{stage.replace('/', '.')}.json"
        with suppress(OSError, ValueError, KeyError):
            return round(float(json.loads(marker.read_text(encoding="utf-8"))["seconds"]), 1)
        return None


def _ended(text: str, stages: list[dict[str, Any]], stopped: bool) -> str:
    if WAITS in " ".join(text.split()):
        return "waiting"
    last = stages[-1] if stages else None
    if last is not None and last["name"].endswith("report") and last["state"] != "running":
        return "trained"
    return "stopped" if stopped else "failed"
