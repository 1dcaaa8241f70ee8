"""A search's memory: trials in an SQLite file, by Optuna, which also says what to try next. The only user of Optuna.

What is suggested is a function of the search's seed, a trial's number and the trials that came to an end before it:
each trial has a sampler of its own. So a search that was cut off goes on as if it had not been; the trial that was
under way then is marked as failed, does not count, and is begun again under its number. (`halving` remembers what a
trial that was cut off had reached, and may judge those after it a little otherwise.)
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.exc import SQLAlchemyError

from harken.data.seeds import derive
from harken.pipeline.run import RunError, differences
from harken.pipeline.settings import TuneConfig
from harken.pipeline.space import Range, Space

optuna: Any = import_module("optuna") if find_spec("optuna") else None
"""An extra, which only searches need."""
NAME, SEARCH, PLACE, SECONDS, REASON = "tune", "search", "number", "seconds", "reason"
BEST_SHARE = 0.25
ENOUGH = 8
"""Trials that came to their end, before it is said what mattered."""


@dataclass(frozen=True)
class Trial:
    """One trial that came to an end.

    Attributes:
        number: from 0; trials that were cut off and begun again have one number.
        state: whether it was trained to its end, or ended early.
        settings: its values, by key.
        measure: what it is judged by; of a trial that was ended early the best that it reached, None if it was never
            measured.
        looks: the measure by step.
        seconds: how long it took, since it was begun last.
        reason: why it was ended early.
    """

    number: int
    state: Literal["complete", "pruned"]
    settings: Mapping[str, Any]
    measure: float | None
    looks: Mapping[int, float] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""


def best_of(trials: list[Trial]) -> Trial | None:
    """The best of the trials that were trained to their end; the first of equals."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(complete, key=lambda trial: (trial.measure, -trial.number), default=None)


def want_optuna() -> None:
    """Raises RunError, naming the extra, where Optuna is not installed."""
    if optuna is None:
        raise RunError("harken tune needs Optuna, which is not installed: pip install 'harken[tune]'")


class Asked:
    """A trial under way.

    Args:
        number: as `Trial.number`.
        settings: its values, by key.
        trial: Optuna's.
        bold: whether it may be ended early.
    """

    def __init__(self, number: int, settings: Mapping[str, Any], trial: Any, bold: bool):
        self.number, self.settings, self._trial, self._bold = number, settings, trial, bold
        self.looks: dict[int, float] = {}

    def report(self, step: int, measure: float) -> bool:
        """Keep a measure; whether the trial should end here, since others were better at this step."""
        if step in self.looks:
            return False
        self.looks[step] = measure
        self._trial.report(measure, step)
        worse = bool(self._trial.should_prune())  # asked of every trial, since `halving` takes note when it is asked
        return worse and self._bold


class Study:
    """All trials of one search.

    Args:
        path: the SQLite file.
        recipe: the recipe as plain data, for which the trials are.
        spaces: what is searched, by key.
        config: how.
        own: values that the first trial has.

    Raises:
        RunError: if Optuna is not installed, or the file holds another search or is damaged.
    """

    def __init__(
        self,
        path: Path,
        recipe: Mapping[str, Any],
        spaces: Mapping[str, Space],
        config: TuneConfig,
        own: Mapping[str, Any],
    ):
        want_optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.spaces, self.config, self.own = spaces, config, own
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._storage = optuna.storages.RDBStorage(f"sqlite:///{path.resolve()}")
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=NAME,
                direction="maximize",
                load_if_exists=True,
                pruner=_pruner(config),
            )
        except (SQLAlchemyError, RuntimeError, optuna.exceptions.OptunaError) as error:
            raise RunError(f"{path} is no study that can be read ({error}); give --out another folder") from error
        self._take(path, recipe)

    def _take(self, path: Path, recipe: Mapping[str, Any]) -> None:
        """Make sure that the file's search is this one; more trials of it may be asked for."""
        said = {**recipe, "tune": {**recipe["tune"], "over": {k: str(s) for k, s in self.spaces.items()}, "trials": 0}}
        said = json.loads(json.dumps(said, default=str))
        old = self._study.user_attrs.get(SEARCH)
        if old is None:
            self._study.set_user_attr(SEARCH, said)
            return
        changed = differences(old, said)
        if changed:
            shown = ", ".join(changed[:4]) + (" ..." if len(changed) > 4 else "")
            raise RunError(
                f"{path.parent} holds another search (different: {shown}); say --out ANOTHER_FOLDER to begin one, or "
                "say what was said before to go on with it"
            )

    def close(self) -> None:
        """Let go of the file."""
        self._storage.remove_session()

    @property
    def cut_off(self) -> int:
        """How many times a trial was cut off."""
        return len(self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.FAIL,)))

    def trials(self) -> list[Trial]:
        """All that came to an end, in order."""
        ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        return [self._trial(found) for found in self._study.get_trials(deepcopy=False, states=ended)]

    def ask(self) -> Asked:
        """Begin the next trial; one that was under way when the search was cut off is marked as failed."""
        for left in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            self._study.tell(left.number, state=optuna.trial.TrialState.FAIL)
        number = len(self.trials())
        waiting = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
        if number == 0 and self.own and not waiting:
            self._study.enqueue_trial({key: self._category(key, value) for key, value in self.own.items()})
        seed = derive(self.config.seed, "trial", number) % 2**32
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.config.startup)
        trial = self._study.ask({key: _distribution(space) for key, space in self.spaces.items()})
        trial.set_user_attr(PLACE, number)
        return Asked(number, self._settings(trial.params), trial, number >= self.config.startup)

    def complete(self, asked: Asked, measure: float, seconds: float) -> None:
        """A trial was trained to its end."""
        asked._trial.set_user_attr(SECONDS, seconds)
        self._study.tell(asked._trial, measure)

    def prune(self, asked: Asked, reason: str, seconds: float) -> None:
        """A trial was ended early."""
        asked._trial.set_user_attr(SECONDS, seconds)
        asked._trial.set_user_attr(REASON, reason)
        self._study.tell(asked._trial, state=optuna.trial.TrialState.PRUNED)

    def fail(self, asked: Asked, reason: str) -> None:
        """A trial was cut off; it does not count, and is begun again."""
        asked._trial.set_user_attr(REASON, reason)
        self._study.tell(asked._trial, state=optuna.trial.TrialState.FAIL)

    def importance(self) -> dict[str, float]:
        """How much each key decides whether a trial is among the best quarter (PED-ANOVA, 2304.10255); they sum to 1.

        Nothing where fewer than `ENOUGH` trials came to their end.
        """
        complete = [trial for trial in self.trials() if trial.state == "complete"]
        if len(complete) < ENOUGH or len({trial.measure for trial in complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE)
            return dict(optuna.importance.get_param_importances(self._study, evaluator=evaluator))

    def _trial(self, found: Any) -> Trial:
        complete = found.state == optuna.trial.TrialState.COMPLETE
        looks = dict(sorted(found.intermediate_values.items()))
        attrs = found.user_attrs
        return Trial(
            attrs[PLACE],
            "complete" if complete else "pruned",
            self._settings(found.params),
            found.value if complete else max(looks.values(), default=None),
            looks,
            attrs.get(SECONDS, 0.0),
            attrs.get(REASON, ""),
        )

    def _category(self, key: str, value: Any) -> Any:
        space = self.spaces[key]
        return value if isinstance(space, Range) else space.label(value)

    def _settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        def value(key: str, said: Any) -> Any:
            space = self.spaces[key]
            return said if isinstance(space, Range) else space.value(said)

        return {key: value(key, params[key]) for key in self.spaces}


def _pruner(config: TuneConfig) -> Any:
    match config.pruner:
        case "median":
            return optuna.pruners.MedianPruner(n_startup_trials=1)
        case "halving":
            return optuna.pruners.SuccessiveHalvingPruner()
        case _:
            return optuna.pruners.NopPruner()


def _distribution(space: Space) -> Any:
    if not isinstance(space, Range):
        return optuna.distributions.CategoricalDistribution(space.labels)
    if space.whole:
        return optuna.distributions.IntDistribution(int(space.low), int(space.high), log=space.log)
    return optuna.distributions.FloatDistribution(space.low, space.high, log=space.log)
