"""`harken feedback stats` as people meet it."""

import json
import os
import subprocess
import sys

import pytest
from planted import BAD, GOOD, fill
from rich.console import Console
from typer.testing import CliRunner

from harken.cli import feedback as cli
from harken.cli.feedback import app
from harken.feedback.stats import stats_of
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Completion, Edit, Message, Prompt, Ranking, Rating, Text

CODE = "import sys; from harken.cli.main import app; app(sys.argv[1:], standalone_mode=False); print(*sys.modules)"


def run(*arguments: object):
    return CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, ["stats", *map(str, arguments)])


@pytest.mark.slow
def test_a_store_with_bad_annotators_is_told_of_whole(tmp_path):
    with FeedbackStore(tmp_path / "feedback.db") as store:
        fill(store, 3)
    plain = tmp_path / "out" / "stats.json"
    environment = {**os.environ, "COLUMNS": "220", "NO_COLOR": "1"}
    command = [sys.executable, "-c", CODE, "feedback", "stats", str(tmp_path), "--json", str(plain)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "torch" not in done.stdout.split()[-5000:], "it begins at once"
    flagged = done.stdout.split("FLAGS:")[-1]
    for name, what in BAD.items():
        assert f"{name}: {what.upper()}:" in flagged
    assert not [name for name in GOOD if f"{name}:" in flagged]
    told = json.loads(plain.read_text())
    assert {flag["annotator"] for flag in told["flags"]} == set(BAD)
    assert [(row["kind"], row["answers"]) for row in told["amounts"]] == [("comparison", 540), ("rating", 300)]
    comparison, rating = told["agreement"]
    assert set(rating["alpha"]) == {"nominal", "ordinal", "interval"} and set(comparison["alpha"]) == {"nominal"}
    assert rating["alpha"]["ordinal"]["low"] < rating["alpha"]["ordinal"]["value"] < rating["alpha"]["ordinal"]["high"]
    assert len(comparison["pairs"]) == 36
    assert told["items"][0]["disagreement"] >= told["items"][-1]["disagreement"]
    assert told["items"][0]["prompt"].startswith("Question")
    assert run(tmp_path / "feedback.db").stdout == run(f"sqlite:///{tmp_path}/feedback.db").stdout


def test_every_kind_and_a_crowd_and_a_model_are_shown_as_what_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "console", Console(width=200))
    prompt = Prompt("p", (Message("user", (Text("Say [something]."),)),))
    made = [Completion(f"p{n}", "p", f"[bold]{n}", "m") for n in range(3)]
    said = [
        Answer("1", "ada", "human", Comparison("p", "p0", "p1", "a"), 2.0),
        Answer("2", "judge", "model", Comparison("p", "p1", "p0", "a")),
        Answer("3", "ada", "human", Ranking("p", (("p0", "p1"),), ("p2",))),
        Answer("4", "crowd", "human", Rating("p", "p0", 4), count=7),
        Answer("5", "ada", "human", Edit("p", "p2", "better")),
        Answer("6", "ada", "human", Rating("p", "p0", 2), amends=None),
        Answer("7", "ada", "human", Rating("p", "p0", 3), amends="6"),
    ]
    with FeedbackStore(tmp_path / "feedback.db") as store:
        store.add_prompts([prompt])
        store.add_completions(made)
        store.add_answers(said)
    found = stats_of(str(tmp_path))
    assert [(one.kind, one.answers, one.people) for one in found.amounts] == [
        ("comparison", 2, 2),
        ("edit", 1, 1),
        ("ranking", 1, 1),
        ("rating", 2, 8),
    ]
    assert [(one.id, one.kind, one.crowd) for one in found.annotators] == [
        ("ada", "human", False),
        ("crowd", "human", True),
        ("judge", "model", False),
    ]
    assert found.items[0].said == {"1: [bold]0": 1, "2: [bold]1": 1}
    shown = run(tmp_path).stdout
    assert "MODEL" in shown and "a crowd of 7 answers" in shown
    assert "[something]" in shown and "[bold]0" in shown, "what people wrote is shown as they wrote it"


def test_mistakes_are_answered_in_words_and_nothing_is_made(tmp_path):
    done = run(tmp_path)
    assert done.exit_code == 2 and not list(tmp_path.iterdir())
    with FeedbackStore(tmp_path / "feedback.db"):
        pass
    assert "no answers yet" in run(tmp_path).stdout
