"""`harken tune` as a user meets it: help, mistakes, a search that is carried on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harken.cli import tune

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journeys"))

from tiny_run import OVERRIDES  # noqa: E402

ENVIRONMENT = {**os.environ, "COLUMNS": "160", "NO_COLOR": "1"}
RECIPE = str(ROOT / "recipes" / "demo.yaml")


def said(*arguments: str):
    return CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1"}).invoke(tune.app, list(arguments))


def test_help_teaches():
    done = said("--help")
    assert done.exit_code == 0
    for words in ("--over", "1e-4..1e-2:log", "32|64|128", "best.yaml", "harken[tune]", "pruner"):
        assert words in done.output


def test_help_loads_no_torch():
    code = "import sys, harken.cli.tune; print('torch' in sys.modules, 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--over", "sft.optimizer.rte=1e-4..1e-2"), "did you mean 'rate'"),
        (("--over", "sft.optimizer.rate"), "write KEY=SPACE"),
        (("--over", "sft.optimizer.rate=0..1:log"), "above 0"),
        (("--stage", "evaluate"), "tune.stage"),
        (("--trials", "0"), "tune.trials must be a number from 1 up"),
        (("algorithm.clipp=1",), "did you mean 'clip'"),
    ],
)
def test_mistakes_are_answered_in_words(tmp_path, arguments, words):
    done = said(RECIPE, "--out", str(tmp_path / "x"), *arguments)
    assert done.exit_code == 2
    assert words in done.output
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_search_ends_with_a_table_and_can_be_carried_on(tmp_path):
    pytest.importorskip("optuna", reason="pip install 'harken[tune]'")
    out = ("--out", str(tmp_path / "x"))
    words = (RECIPE, *OVERRIDES, "sft.data.steps=2", *out, "--over", "sft.optimizer.rate=1e-4..1e-2:log")
    done = said(*words, "--trials", "1")
    assert done.exit_code == 0, done.output
    assert "best of 1 trials" in done.output
    assert "best.yaml" in done.output
    more = said(*words, "--trials", "2")
    assert more.exit_code == 0, more.output
    assert "trial 1:" in more.output
    assert "trial 0:" not in more.output
