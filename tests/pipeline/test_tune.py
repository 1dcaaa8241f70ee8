"""Searches of a tiny recipe, trained for real: killed, gone on with, ended early; and what they leave."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_search import BAD, Told, run_search, tiny_search

from harken.pipeline import tune_report
from harken.pipeline.recipe import read_recipe
from harken.pipeline.run import RunError
from harken.pipeline.tune import Tuning
from harken.train.loop import Interrupted

pytest.importorskip("optuna", reason="pip install 'harken[tune]'")
pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("tiny_search.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder, told = tmp_path_factory.mktemp("search") / "tune", Told()
    return folder, run_search(folder, tiny_search(), told), told


def timeless(trials):
    return [(t.number, t.state, t.settings, t.measure, t.looks, t.reason) for t in trials]


def test_a_search_leaves_the_best_recipe_tables_and_a_page(searched):
    folder, trials, told = searched
    found = json.loads((folder / "tune.json").read_text())
    best = found["best"]
    assert len(trials) == len(found["trials"]) == 5
    assert best["measure"] == max(t["measure"] for t in found["trials"] if t["state"] == "complete")
    recipe = read_recipe(folder / "best.yaml")
    assert recipe.sft.optimizer.rate == best["settings"]["sft.optimizer.rate"] != BAD
    assert recipe.sft.data.batch == best["settings"]["sft.data.batch"]
    assert recipe.tune.over == {}
    rows = list(csv.DictReader((folder / "tune.csv").read_text().splitlines()))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3", "4"]
    page = (folder / "tune.html").read_text()
    assert "search of settings" in page
    assert page.count("<svg") >= 2
    assert "simulated" in page
    assert [line.split(":")[0] for line in told.said] == [f"trial {n}" for n in range(5)]


def test_a_setting_that_learns_nothing_is_ended_early(searched):
    _, trials, _ = searched
    bad = [trial for trial in trials[2:] if trial.settings["sft.optimizer.rate"] == BAD]
    assert bad
    assert all(trial.state == "pruned" and "others were better" in trial.reason for trial in bad)
    assert all(max(trial.looks) < 6 for trial in bad)


def test_weights_of_the_best_alone_are_kept(searched):
    folder, trials, _ = searched
    kept = [path.parent.name for path in (folder / "trials").glob("*/sft")]
    best = json.loads((folder / "tune.json").read_text())["best"]["trial"]
    assert kept == [str(best)]
    assert all((folder / "trials" / str(t.number) / "metrics.jsonl").exists() for t in trials)


def test_asked_again_it_does_nothing_and_more_trials_go_on(searched, monkeypatch):
    folder, trials, _ = searched
    monkeypatch.setattr(Tuning, "_try", lambda *_: pytest.fail("a trial was run"))
    assert run_search(folder, tiny_search()) == trials
    with pytest.raises(RunError, match="another search"):
        run_search(folder, tiny_search(seed=5))


def test_killed_in_its_trials_it_goes_on_to_the_same_ones(searched, tmp_path):
    """Killed in a checkpoint of the second trial, then after the third was trained and before it was counted."""
    _, trials, _ = searched
    folder = tmp_path / "tune"
    for done, (place, count) in ((1, ("a checkpoint's file", 11)), (2, ("marking a stage", 2))):
        command = [sys.executable, str(PROGRAM), str(folder), place, str(count)]
        killed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert killed.returncode == -9, killed.stderr
        assert len(json.loads((folder / "tune.json").read_text())["trials"]) == done
    assert timeless(run_search(folder, tiny_search(3))) == timeless(trials[:3])
    assert json.loads((folder / "tune.json").read_text())["cut_off"] == 2


def test_stopped_by_hand_it_goes_on_from_the_trial_s_checkpoint(searched, tmp_path):
    _, trials, _ = searched
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 10

    with pytest.raises(Interrupted, match="sft stopped after step"):
        run_search(tmp_path / "tune", tiny_search(2), stop=stop)
    assert timeless(run_search(tmp_path / "tune", tiny_search(2))) == timeless(trials[:2])


def test_earlier_stages_run_once_where_no_searched_key_touches_them(tmp_path, monkeypatch):
    monkeypatch.setattr(tune_report, "_sections", lambda *_: [])
    told = Told()
    search = tiny_search(2, {"reward.optimizer.rate": "1e-4..1e-2:log"}, stage="reward")
    trials = run_search(tmp_path, search, told)
    assert [trial.state for trial in trials] == ["complete", "complete"]
    ran = [name for name, state in told.stages if state == "running"]
    assert ran == ["sft", "rounds/1/completions", "rounds/1/feedback"]
    assert not list((tmp_path / "shared").glob("rounds/1/reward"))
    # A key of an earlier stage has it run in the trial, where its value differs.
    other = tiny_search(2, {"sft.optimizer.weight_decay": [0.0, 0.1]}, stage="reward", seed=1)
    second = Told()
    both = run_search(tmp_path / "other", other, second)
    assert len({trial.settings["sft.optimizer.weight_decay"] for trial in both}) == 2
    assert [name for name, state in second.stages if state == "running"] == ran


def test_a_search_in_which_all_diverge_says_so(tmp_path):
    search = tiny_search(2, {"sft.optimizer.rate": [1e30, 1e31], "sft.optimizer.max_norm": [1e30, 1e31]})
    with pytest.raises(RunError, match=r"none of 2 trials came to its end; the last: it diverged"):
        run_search(tmp_path / "x", search)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(RunError, match="holds no search"):
        run_search(tmp_path, tiny_search())
