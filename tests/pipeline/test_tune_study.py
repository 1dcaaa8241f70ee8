"""The search's memory: what is suggested, what counts, what a kill leaves."""

import math
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tiny_search import tiny_search

from harken.pipeline import study as studied
from harken.pipeline.recipe import resolved
from harken.pipeline.run import RunError
from harken.pipeline.study import Study, best_of
from harken.pipeline.tune import Tuning

pytest.importorskip("optuna", reason="pip install 'harken[tune]'")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk():
    """Commits need not survive a power cut here."""

    def quick(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", quick)
    yield
    event.remove(Engine, "connect", quick)


OVER = {"sft.optimizer.rate": "1e-5..1e-1:log", "sft.data.batch": "4..12", "sft.optimizer.decay": "none|cosine"}


def opened(path, **tune) -> Study:
    search = tiny_search(over=OVER, **tune)
    return Study(path / "study.db", resolved(search.recipe), search.spaces, search.recipe.tune, search.own())


def go(study: Study, trials: int, cuts: dict[int, int] | None = None):
    """A made-up measure, best at a rate of 1e-3; `cuts` cuts trials off at a step, once, as a kill does."""
    left = dict(cuts or {})
    while len(study.trials()) < trials:
        asked = study.ask()
        far = abs(math.log10(asked.settings["sft.optimizer.rate"] / 1e-3))
        for step in range(1, 5):
            if left.get(asked.number) == step:
                del left[asked.number]
                break
            if asked.report(step, -far - 1 / step):
                study.prune(asked, "worse", 1.0)
                break
        else:
            study.complete(asked, -far - 0.25, 1.0)
    return study.trials()


@pytest.mark.slow
def test_the_same_seed_suggests_the_same_and_another_does_not(tmp_path):
    first = go(opened(tmp_path / "a", seed=3), 8)
    again = go(opened(tmp_path / "b", seed=3), 8)
    other = go(opened(tmp_path / "c", seed=4), 3)
    assert first == again
    assert [trial.settings for trial in first[1:3]] != [trial.settings for trial in other[1:]]
    assert first[0].settings["sft.data.batch"] == 6
    assert [trial.number for trial in first] == list(range(8))


@pytest.mark.slow
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(tmp_path):
    whole = go(opened(tmp_path / "a"), 9)
    cut = opened(tmp_path / "b")
    go(cut, 4, {0: 3, 3: 1})
    cut.close()
    back = opened(tmp_path / "b")
    assert go(back, 9, {6: 1, 8: 1}) == whole
    assert back.cut_off == 4


@pytest.mark.slow
def test_bad_trials_are_ended_early_after_the_first_ones(tmp_path):
    for pruner in ("median", "halving"):
        trials = go(opened(tmp_path / pruner, pruner=pruner, startup=3), 10)
        early = [trial.number for trial in trials if trial.state == "pruned"]
        assert early
        assert min(early) >= 3
    assert all(t.state == "complete" for t in go(opened(tmp_path / "none", pruner="none", startup=1), 5))


@pytest.mark.slow
def test_the_best_is_of_those_that_came_to_their_end(tmp_path):
    study = opened(tmp_path)
    assert best_of(study.trials()) is None
    early = study.ask()
    early.report(1, 100.0)
    study.prune(early, "why", 1.0)
    study.complete(study.ask(), 1.0, 1.0)
    study.complete(study.ask(), 1.0, 1.0)
    assert best_of(study.trials()).number == 1
    assert study.trials()[0].measure == 100.0


@pytest.mark.slow
def test_what_mattered_needs_trials(tmp_path):
    study = opened(tmp_path, pruner="none")
    go(study, 7)
    assert study.importance() == {}
    go(study, 16)
    found = study.importance()
    assert max(found, key=found.get) == "sft.optimizer.rate"
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.slow
def test_another_search_is_refused_and_more_trials_are_not(tmp_path):
    opened(tmp_path, trials=4).close()
    opened(tmp_path, trials=9).close()
    with pytest.raises(RunError, match=r"another search \(different: tune\.seed\); say --out"):
        opened(tmp_path, seed=8)


@pytest.mark.slow
def test_a_damaged_study_is_named(tmp_path):
    (tmp_path / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(RunError, match=r"study\.db is no study"):
        opened(tmp_path)


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(studied, "optuna", None)
    with pytest.raises(RunError, match=r"pip install 'harken\[tune\]'"):
        Tuning(tmp_path / "x", tiny_search(), lambda recipe, blobs: None).run()
    assert not (tmp_path / "x").exists()
