"""The stage that asks a judge: the run keeps its answers and its bias, and says both."""

import json
import sys
from pathlib import Path

import pytest

from harken.feedback.annotators.judge import JudgeConfig
from harken.feedback.store import FeedbackStore
from harken.pipeline.ask import feedback_work, write_completions
from harken.pipeline.recipe import Recipe
from harken.pipeline.run import Progress, Run
from harken.pipeline.settings import FeedbackConfig
from harken.pipeline.world import World
from harken.train.loop import Interrupted
from harken.types import Completion, Message, Prompt, Text

sys.path.insert(0, str(Path(__file__).parents[1] / "feedback" / "annotators"))

from fake_judge import judging

PROMPTS = tuple(Prompt(f"p{i}", (Message("user", (Text(f"Count {i}."),)),)) for i in range(6))


class Ear(Progress):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)


def run_of(folder: Path, url: str, stop=lambda: False) -> tuple[Run, Ear]:
    feedback = FeedbackConfig("judge", comparisons=6, ratings=3, edits=0, judge=JudgeConfig(url, "m", concurrency=2))
    ear = Ear()
    run = Run(folder, Recipe(feedback=feedback), lambda recipe, blobs: World((), PROMPTS, ()), ear, stop)
    made = [Completion(f"{p.id}.{i}", p.id, f"{i} things", "sft") for p in PROMPTS for i in range(2)]
    write_completions(run, "rounds/1/completions.jsonl", made)
    return run, ear


@pytest.mark.slow
def test_a_judge_s_round_is_kept_and_told_and_goes_on_after_a_stop(tmp_path):
    with judging(lambda body: "3" if "Grade" in body["messages"][1]["content"][-1]["text"] else "a") as fake:
        asked = iter([False, False, True])
        run, ear = run_of(tmp_path, fake.url, lambda: next(asked, True))
        with pytest.raises(Interrupted):
            feedback_work(1)(run, "key")
        assert ear.heard == []
        run, ear = run_of(tmp_path, fake.url)
        feedback_work(1)(run, "key")
    with FeedbackStore(tmp_path / "feedback.db") as store:
        said = store.answers()
    assert len(said) == 9 and {answer.annotator_kind for answer in said} == {"model"}
    assert len((tmp_path / "rounds/1/feedback.jsonl").read_text().splitlines()) == 9
    kept = json.loads((tmp_path / "rounds/1/judge.json").read_text())
    # What was judged before the stop counts too.
    assert (kept["pairs"], kept["disagreed"], kept["ratings"], kept["favours"]) == (6, 6, 3, "first")
    assert ear.heard == [kept["text"]] and "it favours the first" in kept["text"]
