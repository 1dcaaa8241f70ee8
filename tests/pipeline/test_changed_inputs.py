"""A run whose inputs change under it: files, seeds, stops; nothing goes on as if they were the old ones."""

import json
import sys
from pathlib import Path

import pytest

from harken.data.blobs import Blobs
from harken.demo.world import make_world
from harken.feedback.annotators.annotator import StopAsking
from harken.feedback.store import FeedbackStore
from harken.pipeline.artefact import Contents
from harken.pipeline.ask import annotators_of, completions_work, feedback_work, read_completions, write_completions
from harken.pipeline.recipe import Recipe
from harken.pipeline.run import Run, Stage
from harken.pipeline.settings import DataConfig, FeedbackConfig, ModelConfig
from harken.pipeline.stages import stages
from harken.pipeline.world import World
from harken.train.loop import Interrupted
from harken.types import Completion, Message, Prompt, Text

sys.path.insert(0, str(Path(__file__).parents[1] / "journeys"))

from tiny_run import run_tiny, tiny_recipe

PROMPTS = tuple(Prompt(f"p{i}", (Message("user", (Text(f"Count {i}."),)),)) for i in range(6))


def first_key(run: Run) -> str:
    return run.key(stages(run.recipe)[0])


def a_run(folder: Path, **data: str) -> Run:
    recipe = Recipe(data=DataConfig("prompts", **data), model=ModelConfig(path=str(folder / "model")))
    return Run(folder / "run", recipe, make_world)


def test_the_content_of_files_counts_and_not_their_names(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "cat.png").write_bytes(b"one")
    line = {"messages": [{"role": "user", "content": [{"type": "image", "image": "cat.png"}]}]}
    asked = tmp_path / "asked.jsonl"
    asked.write_text(json.dumps(line) + "\nnot json\n")
    named = {"prompts": str(asked)}
    keys = [first_key(a_run(tmp_path, **named)), first_key(a_run(tmp_path, **named))]
    (tmp_path / "cat.png").write_bytes(b"two")
    keys.append(first_key(a_run(tmp_path, **named)))
    asked.write_text(json.dumps(line) + "\n")
    keys.append(first_key(a_run(tmp_path, **named)))
    (tmp_path / "model" / "config.json").write_text("{ }")
    keys.append(first_key(a_run(tmp_path, **named)))
    (tmp_path / "test.jsonl").write_text(json.dumps(line) + "\n")
    keys.append(first_key(a_run(tmp_path, **named, test=str(tmp_path / "test.jsonl"))))
    (tmp_path / "test.jsonl").write_text(json.dumps({**line, "id": "x"}) + "\n")
    keys.append(first_key(a_run(tmp_path, **named, test=str(tmp_path / "test.jsonl"))))
    assert keys[0] == keys[1] and len(set(keys[1:])) == 6


def test_what_a_new_models_parts_are_read_from_counts_too(tmp_path):
    vectors, voices = tmp_path / "vectors.txt", tmp_path / "voices"
    vectors.write_text("one 1 0\n")
    voices.mkdir()
    encoders = {"text": {"name": "words", "vectors": str(vectors)}}
    recipe = Recipe(model=ModelConfig(encoders=encoders, speech_to_text=str(voices)))
    keys = [Run(tmp_path / "run", recipe, make_world).key(stages(recipe)[0])]
    vectors.write_text("one 0 1\n")
    keys.append(Run(tmp_path / "run", recipe, make_world).key(stages(recipe)[0]))
    (voices / "config.json").write_text("{}")
    keys.append(Run(tmp_path / "run", recipe, make_world).key(stages(recipe)[0]))
    assert len(set(keys)) == 3


def test_later_stages_notice_too(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}\n")
    run = Run(tmp_path, Recipe(data=DataConfig("prompts", prompts=str(tmp_path / "a.jsonl"))), make_world)
    reading = [stage.verb for stage in stages(run.recipe) if stage.reads]
    assert set(reading) == {"sft", "collect", "align", "evaluate", "report"}


def test_a_folder_s_content_is_its_files_by_their_names(tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_text("1")
    one = Contents().of(tmp_path / "d")
    (tmp_path / "d" / "e" / "f").rename(tmp_path / "d" / "e" / "g")
    assert Contents().of(tmp_path / "d") != one
    assert Contents().of(tmp_path / "absent") == Contents().of(tmp_path / "absent too")


@pytest.mark.slow
def test_a_run_goes_on_after_its_policy_or_its_seed_changed(tmp_path):
    """Old answers stay; completions and prompts that are others have other ids."""
    run_tiny(tmp_path)
    with FeedbackStore(tmp_path / "feedback.db") as store:
        before = {answer.key for answer in store.answers()}
    run_tiny(tmp_path, "sft.data.steps=6", resume=True)
    run_tiny(tmp_path, "sft.data.steps=6", "seed=5", resume=True)
    with FeedbackStore(tmp_path / "feedback.db") as store:
        after = {answer.key for answer in store.answers()}
    assert before < after
    assert json.loads((tmp_path / "run.json").read_text())["finished"]


class Leaving:
    """A person who answers twice and then says `q`."""

    id, kind = "ada", "human"

    def __init__(self, most: int):
        self.left = most

    def answer(self, prompts, question, completions):
        from harken.types import Comparison

        if not self.left:
            raise StopAsking
        self.left -= 1
        return Comparison(question.prompt_id, question.a, question.b, "a")


def asking(folder: Path, monkeypatch, most: int) -> Run:
    recipe = Recipe(feedback=FeedbackConfig("me", comparisons=5, ratings=0, edits=0))
    run = Run(folder, recipe, lambda recipe, blobs: World((), PROMPTS, ()))
    made = [Completion(f"{p.id}.{i}", p.id, f"{i} things", "sft") for p in PROMPTS for i in range(2)]
    write_completions(run, "rounds/1/completions.jsonl", made)
    monkeypatch.setattr("harken.pipeline.ask.annotators_of", lambda run, round_: [Leaving(most)])
    return run


def test_who_stops_asking_is_asked_the_rest_next_time(tmp_path, monkeypatch):
    assert annotators_of  # the name that is replaced
    with pytest.raises(Interrupted, match="every answer is kept"):
        feedback_work(1)(asking(tmp_path, monkeypatch, 2), "key")
    assert not (tmp_path / "rounds/1/feedback.jsonl").exists()
    feedback_work(1)(asking(tmp_path, monkeypatch, 100), "key")
    assert len((tmp_path / "rounds/1/feedback.jsonl").read_text().splitlines()) == 5


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_stops_where_it_answers(tmp_path):
    run = run_tiny(tmp_path)
    asked = iter([True])
    stopping = Run(tmp_path, tiny_recipe("completions.prompts=16"), make_world, stop=lambda: next(asked, False))
    before = read_completions(stopping, "rounds/1/completions.jsonl")
    with pytest.raises(Interrupted, match="begins again"):
        completions_work(1, "sft")(stopping, "key")
    assert read_completions(stopping, "rounds/1/completions.jsonl") == before
    evaluation = next(stage for stage in stages(run.recipe) if stage.verb == "evaluate")
    assert isinstance(evaluation, Stage)
    asked = iter([True])
    halted = Run(tmp_path, run.recipe, make_world, stop=lambda: next(asked, False))
    with pytest.raises(Interrupted, match="evaluate stopped"):
        evaluation.work(halted, "key")
    assert isinstance(stopping.blobs, Blobs)
