"""A run's folder: who may write in it, what is done in it, and the order of its stages."""

import fcntl
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from harken.data.blobs import Blobs
from harken.pipeline.artefact import Contents, digest, files_of, is_current, mark, publish, read_marker, write_text
from harken.pipeline.recipe import Recipe, resolved
from harken.pipeline.world import World
from harken.train.loop import Interrupted

PACKAGES = ("harken", "torch", "transformers", "accelerate", "safetensors", "numpy", "SQLAlchemy")


class RunError(RuntimeError):
    """A run cannot begin or go on as asked."""


class InputMissing(RunError):
    """A stage's input was not made yet."""


class Progress:
    """Told of progress; this one keeps quiet. The CLI draws bars."""

    def stage(self, name: str, state: str) -> None:
        """A stage is `running`, `done` or `current` (nothing to do)."""

    def advance(self, name: str, done: int, total: int, note: str = "") -> None:
        """So much of a stage is done."""

    def figures(self, name: str, done: int, figures: Mapping[str, float]) -> None:
        """What a training stage measured at a step; an error raised here ends the stage."""

    def say(self, text: str) -> None:
        """Something that people should read."""


@dataclass(frozen=True)
class Stage:
    """One step of the loop.

    Attributes:
        name: unique in a run, such as `sft` or `rounds/1/reward`.
        verb: the CLI's word for it.
        outputs: files and folders that it leaves, below the run's folder.
        inputs: names of the stages whose outputs it reads.
        settings: the part of the recipe that it depends on, as plain data.
        work: does it, given the run and the stage's key.
        reads: files and folders outside the run whose content it depends on.
        published: name at the top of the run by output, for the newest round's artefacts.
    """

    name: str
    verb: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    settings: Any
    work: Callable[["Run", str], None]
    published: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[Path, ...] = ()


class Run:
    """A recipe at work in a folder.

    Args:
        folder: where all of it lies.
        recipe: what to do.
        make_world: builds the task when a stage first needs it.
        progress: told of what goes on.
        stop: asked often; true ends the run after the step, with a checkpoint.
        blobs: where the media lie, if they are not the run's own.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        make_world: Callable[[Recipe, Blobs], World],
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
        blobs: Blobs | None = None,
    ):
        self.folder = folder
        self.recipe = recipe
        self.progress = progress or Progress()
        self.stop = stop
        self.blobs = blobs or Blobs(folder / "blobs")
        self._make_world = make_world
        self._contents = Contents()

    @cached_property
    def world(self) -> World:
        """The task; made when it is first needed."""
        return self._make_world(self.recipe, self.blobs)

    @property
    def metrics(self) -> Path:
        """The run's `metrics.jsonl`."""
        return self.folder / "metrics.jsonl"

    def open(self, resume: bool, whole: bool = True) -> None:
        """Take the folder for this recipe.

        Args:
            resume: go on with what is there.
            whole: whether the whole loop is asked for, or one stage of it (which may find an unfinished run).

        Raises:
            RunError: if the folder holds another recipe's run or an unfinished one and `resume` was not said, or
                something that is no run.
        """
        record = self.folder / "run.json"
        plain = json.loads(json.dumps(resolved(self.recipe), default=str))
        ways = f"say --resume to go on in it, or --out ANOTHER_FOLDER to begin elsewhere ({self.folder})"
        if record.exists():
            old = json.loads(record.read_text())
            changed = differences(old["recipe"], plain)
            if changed and not resume:
                shown = ", ".join(changed[:4]) + (" ..." if len(changed) > 4 else "")
                raise RunError(f"the folder holds a run of another recipe (different: {shown}); {ways}")
            if whole and not old["finished"] and not resume:
                raise RunError(f"the folder holds an unfinished run; {ways}")
            if not changed and old["finished"]:
                return
        elif self.folder.exists() and any(path.name != "run.lock" for path in self.folder.iterdir()):
            raise RunError(f"{self.folder} is not empty and holds no run (no run.json); give --out another folder")
        self._record(plain, finished=False)

    def _record(self, plain: Mapping[str, Any], finished: bool) -> None:
        record = {
            "name": self.recipe.name,
            "finished": finished,
            "seed": self.recipe.seed,
            "threads": self.recipe.threads,
            "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
            "commit": _commit(),
            "machine": {
                "system": platform.platform(),
                "processor": platform.machine(),
                "cuda": torch.cuda.is_available(),
            },
            "recipe": plain,
        }
        write_text(self.folder / "run.json", json.dumps(record, indent=1, default=str) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out of the folder.

        Raises:
            RunError: if another process is at work in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "run.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(f"another process is at work in {self.folder}; wait for it, or stop it") from error
            yield

    def end_if_asked(self, stage: str) -> None:
        """For work that has no checkpoints of its own.

        Raises:
            Interrupted: if the run was asked to stop; the stage is done from its beginning next time.
        """
        if self.stop():
            raise Interrupted(f"{stage} stopped, and begins again from its start")

    def key(self, stage: Stage) -> str:
        """Hash of what a stage depends on: settings, seed, threads, and what is in the files that it reads.

        Raises:
            InputMissing: if an input was never made.
        """
        inputs = {}
        for name in stage.inputs:
            marker = read_marker(self.folder, name)
            if marker is None:
                raise InputMissing(
                    f"{stage.verb} needs what the stage {name} leaves, and that was not run yet in {self.folder}; "
                    f"the verbs in order are sft, collect, reward, align, evaluate, report"
                )
            inputs[name] = marker.files
        outside = [self._contents.of(path) for path in stage.reads]
        return digest([stage.name, stage.settings, self.recipe.seed, self.recipe.threads, inputs, outside])

    def execute(self, stages: Sequence[Stage]) -> None:
        """Run stages in order, each only if its artefact is missing, broken or stale."""
        torch.set_num_threads(self.recipe.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        for stage in stages:
            key = self.key(stage)
            if is_current(self.folder, stage.name, key):
                self.progress.stage(stage.name, "current")
            else:
                self.progress.stage(stage.name, "running")
                _reset_peak()
                started = time.monotonic()
                stage.work(self, key)
                seconds = time.monotonic() - started
                mark(self.folder, stage.name, stage.outputs, key, seconds=seconds, peak_mib=_peak_mib())
                self.progress.stage(stage.name, "done")
            for made, name in stage.published.items():
                if not _same(self.folder, made, name):
                    publish(self.folder, made, name)

    def finish(self) -> None:
        """Say in `run.json` that all stages are done."""
        self._record(json.loads(json.dumps(resolved(self.recipe), default=str)), finished=True)


def _same(folder: Path, made: str, name: str) -> bool:
    sources, shown = files_of(folder, (made,)), files_of(folder, (name,))
    if [p.relative_to(folder / made) for p in sources] != [p.relative_to(folder / name) for p in shown]:
        return False
    return all(b.exists() and a.samefile(b) for a, b in zip(sources, shown, strict=True))


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """The keys by which two recipes, as plain data, differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(set(old) | set(new))
        return [d for n in names for d in differences(old.get(n), new.get(n), f"{where}.{n}".strip("."))]
    return [] if old == new else [where]


def _commit() -> str | None:
    """The commit of harken's own checkout, if it runs from one."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _reset_peak() -> None:
    """Have the kernel forget the process's peak of memory (Linux; elsewhere the peak is of the whole process)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_mib() -> float:
    """Peak resident memory in MiB since `_reset_peak`."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
