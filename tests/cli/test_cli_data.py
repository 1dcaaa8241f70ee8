"""`harken data import` as a user meets it: one line of what came in, errors in words, kills and Ctrl-C."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "160", "NO_COLOR": "1"}
MAPPING = """
about: Is it even?
records: {files: "*.jsonl"}
prompt: {id: "{id}", parts: [{text: "{question}"}]}
completions: {texts: ["yes", "no"]}
answers: [{choice: {field: said, annotator: "{who}"}}]
"""
COMMAND = [sys.executable, "-c", "from harken.cli.main import run; run()", "data", "import"]


def harken(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, cwd=cwd)


def folder(tmp_path: Path, count: int = 3, bad: int = 0) -> list[object]:
    """The arguments of an import of so many records."""
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "even.yaml").write_text(MAPPING)
    good = [
        {"id": f"q{i}", "question": f"Is {i} even?", "said": "no" if i % 2 else "yes", "who": "ada"}
        for i in range(count)
    ]
    lines = [json.dumps(record) for record in good] + ['{"id": "bad"}'] * bad
    (tmp_path / "data" / "a.jsonl").write_text("\n".join(lines))
    return [tmp_path / "even.yaml", tmp_path / "data", "--out", tmp_path / "out"]


def count(tmp_path: Path, table: str = "answers") -> int:
    with sqlite3.connect(tmp_path / "out" / "feedback.db") as base:
        return int(base.execute(f"select count(*) from {table}").fetchone()[0])


@pytest.mark.slow
def test_one_line_says_what_came_in(tmp_path):
    done = harken(*folder(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "even: 3 prompts, 6 completions, 3 answers (ranking 3); all new; annotators 1; media: none; "
        "skipped 0 of 3 records\n"
    )
    assert harken(*folder(tmp_path)[:2], cwd=tmp_path).returncode == 0
    assert (tmp_path / "runs" / "even" / "feedback.db").is_file()
    again = harken(*folder(tmp_path), "--limit", 2)
    assert "2 answers (ranking 2); new 0, 0 and 0;" in again.stdout


@pytest.mark.slow
def test_bad_records_are_errors_or_listed(tmp_path):
    arguments = folder(tmp_path, 3, bad=25)
    done = harken(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a.jsonl:4: question: the record has no such field; the record has id" in done.stderr
    assert "Traceback" not in done.stderr
    done = harken(*arguments, "--skip-bad")
    assert done.returncode == 0
    assert "skipped 25 of 28 records" in done.stdout
    assert done.stderr.count("skipped: a.jsonl:") == 20
    assert "skipped: and 5 more" in done.stderr


@pytest.mark.slow
def test_help_lists_the_mappings_and_no_torch_is_loaded(tmp_path):
    done = harken("--help")
    assert done.returncode == 0
    for name in ("caption_contest", "cifar_human", "crema_votes", "esc10", "nlvr", "speechocean", "text_prefs"):
        assert f"{name}:" in done.stdout
    code = "import sys, harken.cli.data; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout.strip() == "False"
    done = harken("nlrv", tmp_path, "--out", tmp_path / "out")
    assert (done.returncode, "did you mean 'nlvr'?" in done.stderr) == (2, True)


@pytest.mark.slow
def test_a_store_that_is_none_is_an_error_in_words(tmp_path):
    arguments = folder(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "feedback.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    done = harken(*arguments)
    assert done.returncode == 2
    assert "cannot be opened as a feedback store" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_killed_at_any_time_the_same_command_goes_on(tmp_path):
    arguments = folder(tmp_path, 1500)
    for wait in (0.8, 1.6, 2.4, 3.2):
        running = subprocess.Popen([*COMMAND, *map(str, arguments)], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        time.sleep(wait)
        running.kill()
        running.wait()
        if (tmp_path / "out" / "feedback.db").exists():
            with sqlite3.connect(tmp_path / "out" / "feedback.db") as base:
                tables = {row[0] for row in base.execute("select name from sqlite_master where type = 'table'")}
            # Each table is filled in one transaction, prompts first.
            assert "answers" not in tables or count(tmp_path) in (0, 1500)
    done = harken(*arguments)
    assert done.returncode == 0, done.stderr
    assert (count(tmp_path, "prompts"), count(tmp_path, "completions"), count(tmp_path)) == (1500, 3000, 1500)
    assert len((tmp_path / "out" / "prompts.jsonl").read_text().splitlines()) == 1500


@pytest.mark.slow
def test_stopped_with_control_c_it_says_so(tmp_path):
    arguments = [str(argument) for argument in folder(tmp_path, 200_000)]
    code = "import harken.cli.data; from harken.cli.main import run; print('ready', flush=True); run()"
    begun = time.monotonic()
    running = subprocess.Popen(
        [sys.executable, "-c", code, "data", "import", *arguments],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    # However busy the machine is: what follows takes far less than loading did, until records are read.
    time.sleep((time.monotonic() - begun) / 2)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "stopped; nothing was added to the store: the same command begins again" in told
    assert not (tmp_path / "out" / "feedback.db").exists()
