"""The command line as a user meets it: help, mistakes, the ways out of an occupied folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from harken.cli.main import app

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journeys"))

from tiny_run import OVERRIDES  # noqa: E402

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "160", "NO_COLOR": "1"}


def harken(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "from harken.cli.main import run; run()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, cwd=cwd)


@pytest.fixture
def typed(monkeypatch):
    """The same within this process, where torch is loaded."""

    def typed(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["harken", *arguments])
        return CliRunner(env=ENVIRONMENT).invoke(app, list(arguments))

    return typed


@pytest.mark.slow
def test_help_names_every_verb_and_loads_no_torch():
    done = harken("--help")
    assert done.returncode == 0
    for verb in ("demo", "run", "sft", "collect", "reward", "align", "evaluate", "report"):
        assert verb in done.stdout
    verbs = ("demo", "run", "sft", "collect", "reward", "align", "evaluate", "report", "data", "feedback", "studio")
    loaded = ", ".join(f"harken.cli.{verb}" for verb in ("main", *verbs))
    code = f"import sys, {loaded}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["demo", "run", "align"])
def test_each_verb_explains_itself(verb, typed):
    done = typed(verb, "--help")
    assert done.exit_code == 0, done.stderr
    assert "--resume" in done.stdout
    assert "--out" in done.stdout


@pytest.mark.slow
def test_mistakes_are_answered_in_words(tmp_path, typed):
    done = harken("demo", "--out", str(tmp_path / "x"), "algorithm.clipp=0.1")
    assert done.returncode == 2
    assert "did you mean 'clip'" in done.stderr
    assert "Traceback" not in done.stderr
    done = typed("run", str(tmp_path / "none.yaml"))
    assert done.exit_code == 2
    assert "there is no recipe" in done.stderr
    assert typed("dmeo").exit_code != 0


@pytest.mark.slow
def test_a_person_is_asked_only_at_a_terminal(tmp_path, typed):
    done = typed("demo", "--annotator", "me", "--out", str(tmp_path / "x"))
    assert done.exit_code == 2
    assert "terminal" in done.stderr


@pytest.mark.slow
def test_one_folder_through_its_life(tmp_path, typed):
    """Stage by stage, then the whole; refusals name the two ways out; a finished run does nothing again."""
    recipe, out = str(ROOT / "recipes" / "demo.yaml"), ("--out", str(tmp_path / "run"))
    early = typed("align", recipe, *OVERRIDES, *out)
    assert early.exit_code == 2
    assert "needs what the stage" in early.stderr
    for verb in ("sft", "collect", "reward", "align", "evaluate", "report"):
        done = typed(verb, recipe, *OVERRIDES, *out)
        assert done.exit_code == 0, done.stderr
    unfinished = typed("run", recipe, *OVERRIDES, *out)
    assert unfinished.exit_code == 2
    assert "--resume" in unfinished.stderr
    assert "--out" in unfinished.stderr
    whole = typed("run", recipe, *OVERRIDES, *out, "--resume")
    assert whole.exit_code == 0, whole.stderr
    assert "running" not in whole.stdout
    again = typed("run", recipe, *OVERRIDES, *out)
    assert again.exit_code == 0, again.stderr
    assert "report" in again.stdout
    other = typed("run", recipe, *OVERRIDES, "seed=5", *out)
    assert other.exit_code == 2
    assert "another recipe" in other.stderr
    assert "seed" in other.stderr
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["finished"]
    assert record["threads"] == 1


@pytest.mark.slow
def test_a_folder_of_something_else_is_refused(tmp_path, typed):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    done = typed("demo", "--out", str(tmp_path))
    assert done.exit_code == 2
    assert "holds no run" in done.stderr


@pytest.mark.slow
def test_bad_records_are_skipped_only_when_said_and_are_listed(tmp_path, typed):
    lines = [
        json.dumps({"id": f"p{i}", "messages": [{"role": "user", "content": f"Say {i}."}], "references": [f"{i}."]})
        for i in range(60)
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join([*lines, '{"id": "bad", "images": ["x.png"]}']) + "\n")
    small = [o for o in OVERRIDES if not o.startswith("data.")]
    mine = [*small, "data.name=prompts", f"data.prompts={tmp_path / 'mine.jsonl'}"]
    recipe = str(ROOT / "recipes" / "demo.yaml")
    refused = typed("sft", recipe, *mine, "--out", str(tmp_path / "a"))
    assert refused.exit_code == 2
    assert "mine.jsonl:61" in refused.stderr
    assert "images" in refused.stderr
    taken = typed("sft", recipe, *mine, "--out", str(tmp_path / "b"), "--skip-bad")
    assert taken.exit_code == 0, taken.stderr
    assert "1 bad records" in taken.stdout
    assert "mine.jsonl:61" in taken.stdout.replace("\n", "")
