"""Held-out figures of a run's reward model: in parts, along the number of answers, and only if nothing leaked."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journeys"))

from tiny_run import run_tiny  # noqa: E402

from harken.feedback.held_out import LeakageError  # noqa: E402
from harken.feedback.store import FeedbackStore  # noqa: E402
from harken.pipeline.recipe import Recipe, RecipeError, read_recipe  # noqa: E402
from harken.pipeline.reporting import report_work  # noqa: E402
from harken.pipeline.reward_figures import judge_reward_model  # noqa: E402
from harken.pipeline.run import Run  # noqa: E402
from harken.pipeline.teach import divided_feedback, learnt_feedback  # noqa: E402
from harken.pipeline.world import World  # noqa: E402
from harken.reward.model import load_reward_model  # noqa: E402
from harken.types import Answer, Audio, Comparison, Completion, Message, Prompt, Text  # noqa: E402

MANY = ["feedback.comparisons=40", "feedback.ratings=24", "feedback.edits=8", "completions.held_out=0.5"]


@pytest.mark.slow
def test_a_run_tells_its_parts_and_its_curve(tmp_path):
    run = run_tiny(tmp_path, *MANY, "evaluation.curve=[3,8]", "align.human_only=false", "reward.steps=3")
    found = json.loads((tmp_path / "evaluation.json").read_text())
    parts = found["reward_accuracy_by"]
    assert set(parts) == {"modality", "kind", "annotator"}
    assert {"comparison"} <= set(parts["kind"]) <= {"comparison", "rating", "edit"}
    assert all("(simulated)" in who for who in parts["annotator"])
    totals = {way: sum(part["pairs"] for part in of.values()) for way, of in parts.items()}
    assert len(set(totals.values())) == 1 and totals["kind"] >= found["reward_accuracy_annotators_pairs"]
    assert parts["kind"]["comparison"]["pairs"] == found["reward_accuracy_annotators_pairs"]
    assert parts["kind"]["comparison"]["rate"] == pytest.approx(found["reward_accuracy_annotators"])
    assert [point["answers"] for point in found["reward_curve"]] == [3, 8]
    assert found["shared_with_held_out"]["annotator"] > 0
    page = (tmp_path / "report.html").read_text()
    for words in ("reward model, in parts", "Learning curve of the reward model", "on both sides of the split"):
        assert words in page
    # People's answers alone, as in a world without a hidden rule, give accuracy, calibration and parts too.
    people = Run(tmp_path, run.recipe, lambda recipe, blobs: replace(run.world, gold=None))
    alone = judge_reward_model(people, load_reward_model(tmp_path / "reward"))
    assert alone["reward_accuracy"] is None and "annotator_ceiling" not in alone
    for name in ("reward_accuracy_annotators", "calibration_error", "brier", "reward_accuracy_by"):
        assert alone[name] == found[name], name
    assert str(alone["reliability"]) == str(found["reliability"]), "as text, for empty bins hold NaN"
    kept = {k: v for k, v in found.items() if k not in ("reward_accuracy_interval", "annotator_ceiling")}
    (tmp_path / "rounds/1/evaluation.json").write_text(json.dumps({**kept, **alone, "win_rate": None}))
    report_work(1)(people, "")
    page = (tmp_path / "rounds/1/report.html").read_text()
    assert "as the annotators decided them" in page and "Calibration of the reward model" in page


def heard(name: str, sound: str) -> Prompt:
    return Prompt(name, (Message("user", (Audio(sound * 64), Text(f"Which is {name}?"))),), facts={"speaker": sound})


def run_of(tmp_path: Path, recipe: Recipe, sounds: str) -> Run:
    prompts = [heard(f"p{n}", sound) for n, sound in enumerate(sounds)]
    made = [Completion(f"{p.id}{c}", p.id, c, "m") for p in prompts for c in "xy"]
    with FeedbackStore(tmp_path / "feedback.db") as store:
        store.add_prompts(prompts)
        store.add_completions(made)
        store.add_answers(Answer(p.id, "ada", "human", Comparison(p.id, f"{p.id}x", f"{p.id}y", "a")) for p in prompts)
    return Run(tmp_path, recipe, lambda recipe, blobs: World((), tuple(prompts), ()))


def recipe_of(tmp_path: Path, *settings: str) -> Recipe:
    (tmp_path / "r.yaml").write_text("name: mine\n")
    return read_recipe(tmp_path / "r.yaml", ["completions.held_out=0.5", *settings])


def test_a_sound_on_both_sides_is_an_error_before_anything_is_learnt(tmp_path):
    run = run_of(tmp_path, recipe_of(tmp_path), "01234567" * 4)
    with pytest.raises(LeakageError, match=r"audio \d, speaker \d on both sides.*reward.split.by=media"):
        learnt_feedback(run)


@pytest.mark.parametrize("by", ["media", "speaker"])
def test_held_out_together_it_is_none(tmp_path, by):
    run = run_of(tmp_path, recipe_of(tmp_path, f"reward.split.by={by}"), "01234567" * 4)
    _, sides, found = divided_feedback(run)
    assert len(sides.learnt) + len(sides.measured) == 32 and sides.learnt and sides.measured
    assert [leak.what for leak in found] == ["annotator"]


def test_what_is_meant_is_allowed_and_told_and_annotators_can_be_forbidden(tmp_path):
    run = run_of(tmp_path, recipe_of(tmp_path, "reward.split.allow=[annotator, audio, speaker]"), "01234567" * 4)
    _, _, found = divided_feedback(run)
    assert {leak.what for leak in found} == {"annotator", "audio", "speaker"}
    strict = Run(tmp_path, recipe_of(tmp_path, "reward.split={by: media, allow: []}"), run._make_world)
    with pytest.raises(LeakageError, match="annotator 1 on both sides"):
        divided_feedback(strict)
    with pytest.raises(RecipeError, match="not 'sound'"):
        recipe_of(tmp_path, "reward.split.allow=[sound]")


def test_without_held_out_prompts_nothing_is_measured_and_nothing_leaks(tmp_path):
    run = run_of(tmp_path, recipe_of(tmp_path, "completions.held_out=0"), "0" * 6)
    assert len(learnt_feedback(run).answers) == 6
