"""`harken feedback export`, `import`, `forget` and `backup`, as they are typed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from harken.cli.feedback import app
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Completion, Message, Prompt, Rating, Text

SOURCES = str(Path(__file__).parents[2] / "src")


def harken(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    with FeedbackStore(tmp_path / "run" / "feedback.db") as store:
        store.add_prompts([Prompt("p", (Message("user", (Text("Which?"),)),))])
        store.add_completions([Completion(name, "p", f"It is {name}.", "model") for name in ("x", "y")])
        store.add(Answer("k1", "ada-1815", "human", Comparison("p", "x", "y", "a")))
        store.add(Answer("k2", "ada-1815", "human", Rating("p", "x", 3)))
    return tmp_path / "run"


def test_out_and_in_again(run_folder: Path, tmp_path: Path):
    out = harken("export", "--format", "arena", "--out", str(tmp_path / "battles.json"), str(run_folder))
    assert out.stdout.endswith("battles.json: 1 records of 1 answers\n"), out.stderr
    assert out.stderr == "not held by arena: 1 ratings\n"
    command = ("import", str(tmp_path / "battles.json"), "--format", "arena", "--into", str(tmp_path / "other"))
    assert "1 answers (comparison 1); new 1, 2 and 1; skipped 0" in harken(*command).stdout
    assert "new 0, 0 and 0" in harken(*command).stdout
    with FeedbackStore(tmp_path / "other" / "feedback.db") as store:
        assert [answer.key for answer in store.answers()] == ["k1"]


def test_a_person_is_forgotten_and_the_store_copied(run_folder: Path, tmp_path: Path):
    copied = harken("backup", str(tmp_path / "before.db"), "--store", str(run_folder), "--blobs")
    assert "answers 2" in copied.stdout and "media 0" in copied.stdout, copied.stderr
    done = harken("forget", "ada-1815", "--store", str(run_folder))
    assert "forgotten: now forgotten-" in done.stdout and "made before are not reached" in done.stdout, done.stderr
    assert b"ada-1815" not in b"".join(path.read_bytes() for path in run_folder.iterdir())
    assert b"ada-1815" in (tmp_path / "before.db").read_bytes()
    assert harken("forget", "ada-1815", "--store", str(run_folder)).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", "--format", "xml", "--out", "x", "RUN"), "there is no format 'xml'; there are trl, parquet"),
        (("export", "--format", "trl", "--out", "x.csv", "RUN"), "end with .parquet or .jsonl"),
        (("export", "--format", "trl", "--out", "x", "nowhere"), "there is no store nowhere"),
        (("import", "none.json", "--format", "arena", "--into", "RUN"), "there is no file none.json"),
        (("forget", "bob", "--store", "RUN"), "there is no annotator 'bob'"),
        (("export", "--format", "trl", "--out", "x", "postgresql://h/b"), "add --blobs FOLDER"),
    ],
)
def test_mistakes_are_told_in_words(arguments: tuple[str, ...], words: str, run_folder: Path):
    done = harken(*(str(run_folder) if one == "RUN" else one for one in arguments))
    assert done.exit_code == 2 and done.stderr.startswith("error: ") and words in done.stderr


@pytest.mark.slow
def test_no_torch_is_loaded():
    code = "import sys, harken.cli.feedback; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": SOURCES},
    )
    assert done.stdout.strip() == "False"
