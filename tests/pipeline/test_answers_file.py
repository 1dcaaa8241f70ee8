"""The stage that waits for people who answer elsewhere: it takes what they said of its completions from a file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harken.feedback.intake import answer_record
from harken.feedback.store import FeedbackStore
from harken.pipeline.ask import feedback_work, write_completions
from harken.pipeline.recipe import Recipe
from harken.pipeline.run import Progress, Run, RunError
from harken.pipeline.settings import FeedbackConfig
from harken.pipeline.stages import stages
from harken.pipeline.world import World
from harken.train.loop import Interrupted
from harken.types import Answer, Comparison, Completion, Edit, Message, Prompt, Text

PROMPTS = tuple(Prompt(f"p{i}", (Message("user", (Text(f"Count {i}."),)),)) for i in range(3))


class Ear(Progress):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)


def run_of(folder: Path) -> tuple[Run, Ear, Path]:
    path, ear = folder / "said.jsonl", Ear()
    recipe = Recipe(feedback=FeedbackConfig("file", answers=str(path)))
    run = Run(folder / "run", recipe, lambda recipe, blobs: World((), PROMPTS, ()), ear)
    made = [Completion(f"{p.id}.{i}", p.id, f"{i} things", "sft") for p in PROMPTS for i in range(2)]
    write_completions(run, "rounds/1/completions.jsonl", made)
    return run, ear, path


def write(path: Path, *answers: Answer, **more: object) -> None:
    path.write_text("".join(json.dumps({**answer_record(a), **more}) + "\n" for a in answers))


FIRST = Answer("k1", "ann", "human", Comparison("p0", "p0.0", "p0.1", "a"), 2.0)
AMENDED = Answer("k1~1", "ann", "human", Comparison("p0", "p0.0", "p0.1", "b"), 1.0, "k1")
EDITED = Answer("k2", "ben", "human", Edit("p1", "p1.0", "One thing."))
FOREIGN = Answer("k3", "ann", "human", Comparison("p0", "x.0", "x.1", "a"))


def test_a_run_waits_until_somebody_has_answered_about_its_completions(tmp_path):
    run, ear, path = run_of(tmp_path)
    work = feedback_work(1)
    for prepare in (lambda: None, lambda: path.write_text(""), lambda: write(path, FOREIGN)):
        prepare()
        with pytest.raises(Interrupted, match=r"6 new completions .* waits for their answers in"):
            work(run, "key")
    # Meanwhile others can read there what to ask about.
    with FeedbackStore(run.folder / "feedback.db") as store:
        assert (len(store.prompts()), len(store.completions())) == (3, 6)
    write(path, FIRST, FOREIGN, AMENDED, EDITED, seq=7)
    work(run, "key")
    assert ear.heard == [f"1 of 4 answers in {path} speak of other completions and are left out"]
    with FeedbackStore(run.folder / "feedback.db") as store:
        assert store.answers(amended=True) == [FIRST, AMENDED, EDITED]
        assert [c.policy for c in store.completions()][6:] == ["annotator:ben"]
    assert (run.folder / "rounds/1/feedback.jsonl").read_text().count("\n") == 3


def test_a_line_that_is_no_answer_is_named(tmp_path):
    run, _, path = run_of(tmp_path)
    for line in ("{", "3", '{"key": "k"}', json.dumps({**answer_record(FIRST), "annotator_kind": "dog"})):
        path.write_text(json.dumps(answer_record(FIRST)) + "\n" + line + "\n")
        with pytest.raises(RunError, match="line 2: "):
            feedback_work(1)(run, "key")


def test_the_stage_is_stale_when_the_file_says_more_and_not_before(tmp_path):
    run, _, path = run_of(tmp_path)
    stage = next(one for one in stages(run.recipe) if one.name == "rounds/1/feedback")
    bare = replace(stage, inputs=())
    keys = [run.key(bare)]
    write(path, FIRST)
    keys += [run.key(bare), run.key(bare)]
    write(path, FIRST, EDITED)
    keys.append(run.key(bare))
    assert len({keys[0], keys[1], keys[3]}) == 3
    assert keys[1] == keys[2]


def test_file_and_answers_belong_together():
    for wrong in ({"annotator": "file"}, {"answers": "x.jsonl"}):
        with pytest.raises(ValueError, match="belong together"):
            FeedbackConfig(**wrong)
