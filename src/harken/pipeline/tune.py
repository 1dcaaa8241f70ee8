"""A search of settings: trials of one stage of a recipe, each in a folder of its own, the earlier stages shared.

FOLDER/
  study.db                     the trials, as Optuna keeps them
  tune.json  tune.csv          the trials as a table; best.yaml: the recipe with the best settings; tune.html: a page
  shared/                      a run: media, and the stages before the one that is searched
  trials/0 1 2 ...             a run each: run.json and metrics.jsonl; of the best one so far its weights too
"""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from harken.data.blobs import Blobs
from harken.feedback.backup import backup
from harken.pipeline.artefact import share
from harken.pipeline.recipe import Recipe, RecipeError, make_recipe, resolved
from harken.pipeline.run import Progress, Run, RunError, Stage
from harken.pipeline.searched import Search
from harken.pipeline.study import Asked, Study, Trial, best_of, want_optuna
from harken.pipeline.tune_report import write_page, write_tables
from harken.pipeline.world import World
from harken.train.loop import Interrupted
from harken.train.metrics_log import read_metrics

STORE = "feedback.db"
KEPT = {"run.json", "metrics.jsonl", "run.lock"}
"""What stays of a trial that is not the best one."""
TRIALS, THIS = "trials", "this trial"


class Worse(Exception):
    """A trial ends early: others were better at this step."""


class _Watching(Progress):
    """Progress of one trial: on one bar, and to the study, which may end it.

    Raises `Worse` where a trial is to end, and FloatingPointError where a measure is no number.
    """

    def __init__(self, outer: Progress, asked: Asked, stage: str, log: Path):
        self._outer, self._asked, self._stage, self._log = outer, asked, stage, log
        self._begun = False

    def advance(self, name: str, done: int, total: int, note: str = "") -> None:
        """One bar for all trials, whatever stage they are in."""
        self._outer.advance(THIS, done, total, f"{self._asked.number}: {name}  {note}")

    def say(self, text: str) -> None:
        """As it comes."""
        self._outer.say(text)

    def figures(self, name: str, done: int, figures: Mapping[str, float]) -> None:
        """Report a measure; at first also those before a checkpoint that training went on from."""
        if name != self._stage:
            return
        if not self._begun:
            self._begun = True
            for step, measure in looks_in(self._log, name).items():
                self._report(step, measure)
        elif "measure" in figures:
            self._report(done, figures["measure"])

    def _report(self, step: int, measure: float) -> None:
        if not math.isfinite(measure):
            raise FloatingPointError(f"the measure at step {step} is {measure}")
        if self._asked.report(step, measure):
            raise Worse(f"others were better at step {step}")


class Tuning:
    """A search at work in a folder.

    Args:
        folder: where all of it lies.
        search: what is searched.
        make_world: builds the task, once for all trials.
        progress: told of what goes on.
        stop: asked often; true ends the search after the step, with a checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        search: Search,
        make_world: Callable[[Recipe, Blobs], World],
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ):
        self.folder, self.search, self.stop = folder, search, stop
        self.progress = progress or Progress()
        self.config = search.recipe.tune
        self.shared = Run(folder / "shared", search.recipe, make_world, self.progress, stop)
        self._settled: set[str] = set()

    def run(self) -> list[Trial]:
        """Go on to the number of trials that was asked for; all that came to an end.

        Raises:
            RunError: if the folder holds something else, another process is at work in it, or no trial was measured.
            Interrupted: if it was asked to stop; called again, it goes on.
        """
        want_optuna()
        known = ("study.db", "shared")
        occupied = self.folder.exists() and any(self.folder.iterdir())
        if occupied and not any((self.folder / name).exists() for name in known):
            raise RunError(f"{self.folder} is not empty and holds no search; give --out another folder")
        with self.shared.locked():
            plain = resolved(self.search.recipe)
            study = Study(self.folder / "study.db", plain, self.search.spaces, self.config, self.search.own())
            try:
                self.shared.open(resume=True, whole=False)
                self._go_on(study)
            finally:
                study.close()
            return study.trials()

    def _go_on(self, study: Study) -> None:
        trials = study.trials()
        self._tidy(trials)
        while len(trials) < self.config.trials:
            self._advance(trials)
            try:
                if self.stop():
                    raise Interrupted(f"stopped after {len(trials)} of {self.config.trials} trials")
                self._try(study)
            except Interrupted:
                self._write(study, trials)
                raise
            trials = study.trials()
            self._tidy(trials)
            write_tables(self.folder, self.search, trials, study.cut_off)
            self._tell(trials)
        self._advance(trials)
        self._write(study, trials)
        if best_of(trials) is None:
            raise RunError(
                f"none of {len(trials)} trials came to its end; the last: {trials[-1].reason}; search other values"
            )

    def _write(self, study: Study, trials: list[Trial]) -> None:
        if trials:
            write_tables(self.folder, self.search, trials, study.cut_off)
            write_page(self.folder, self.search, trials, study.importance(), self._notices())

    def _notices(self) -> tuple[str, ...]:
        said = self.shared.world.notices if "world" in vars(self.shared) else ()
        return (*said, *self.search.notices)

    def _try(self, study: Study) -> None:
        """One trial, to its end, its early end, or the interruption of it."""
        asked, started = study.ask(), time.monotonic()
        try:
            looks = self._train(asked)
        except (Worse, RecipeError, FloatingPointError, torch.OutOfMemoryError) as ended:
            study.prune(asked, _reason(ended), time.monotonic() - started)
        except BaseException as error:
            study.fail(asked, f"{type(error).__name__}: {error}"[:500])
            raise
        else:
            for step, measure in looks.items():
                asked.report(step, measure)
            keep_best = resolved(self.search.recipe)[self.config.stage]["stopping"]["keep_best"]
            measure = max(looks.values()) if keep_best else looks[max(looks)]
            study.complete(asked, measure, time.monotonic() - started)

    def _train(self, asked: Asked) -> dict[int, float]:
        """Train what a trial needs; its measures by step.

        Raises:
            Worse: if it was ended early.
            RunError: if nothing was measured.
        """
        recipe = make_recipe(self.search.with_values(asked.settings))
        folder, stage = self.folder / TRIALS / str(asked.number), self.search.stage
        watching = _Watching(self.progress, asked, stage, folder / "metrics.jsonl")
        run = Run(folder, recipe, lambda recipe, blobs: self.shared.world, watching, self.stop, self.shared.blobs)
        run.open(resume=True, whole=False)
        run.execute(self._left_to_do(run))
        looks = looks_in(run.metrics, stage)
        if not looks:
            raise RunError(
                f"{stage} measured nothing: it needs steps, and at least two prompts to hold some out of (the recipe's "
                f"{self.config.stage}.stopping)"
            )
        return looks

    def _left_to_do(self, run: Run) -> list[Stage]:
        """A trial's stages without those that are as in the recipe itself: these run once, and are shared."""
        mine = {stage.name: stage for stage in self.search.needed(self.search.recipe)}
        taken: set[str] = set()
        left = []
        for stage in self.search.needed(run.recipe):
            same = stage.name in mine and stage.settings == mine[stage.name].settings
            if stage.name != self.search.stage and same and taken.issuperset(stage.inputs):
                if stage.name not in self._settled:
                    self.shared.execute([mine[stage.name]])
                    self._settled.add(stage.name)
                share(self.shared.folder, run.folder, stage.name)
                taken.add(stage.name)
            else:
                left.append(stage)
        if any(name.endswith("/feedback") for name in taken):
            (run.folder / STORE).unlink(missing_ok=True)
            backup(self.shared.folder / STORE, run.folder / STORE)
        return left

    def _tidy(self, trials: list[Trial]) -> None:
        """Take away the weights of trials that are not the best one."""
        best = best_of(trials)
        for trial in trials:
            folder = self.folder / TRIALS / str(trial.number)
            if trial == best or not folder.is_dir():
                continue
            for path in folder.iterdir():
                if path.name in KEPT:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def _advance(self, trials: list[Trial]) -> None:
        best = best_of(trials)
        note = "" if best is None else f"best {best.measure:.4f} (trial {best.number})"
        self.progress.advance(TRIALS, len(trials), self.config.trials, note)

    def _tell(self, trials: list[Trial]) -> None:
        """A line about the last trial."""
        last, best = trials[-1], best_of(trials)
        settings = "  ".join(f"{key}={shown(value)}" for key, value in last.settings.items())
        measure = "-" if last.measure is None else f"{last.measure:.4f}"
        how = f"ended early, {last.reason}" if last.state == "pruned" else "best so far" if last == best else "measured"
        self.progress.say(f"trial {last.number}: {measure} ({how})  {settings}")


def looks_in(log: Path, stage: str) -> dict[int, float]:
    """A stage's measures by the number of steps that were done, as `metrics.jsonl` has them."""
    return {record["step"] + 1: record["measure"] for record in read_metrics(log, stage) if "measure" in record}


def shown(value: Any) -> str:
    """A setting in few letters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _reason(ended: Exception) -> str:
    match ended:
        case Worse():
            return str(ended)
        case RecipeError():
            return f"these settings do not go together: {ended}"[:500]
        case FloatingPointError():
            return f"it diverged: {ended}"[:500]
        case _:
            return "the accelerator's memory was not enough"
