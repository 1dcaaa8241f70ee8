"""Alignment on people's answers without a reward: the verb from Python, and the stage of a run."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import harken
from harken.algorithms.dpo import DPO
from harken.algorithms.grpo import GRPO
from harken.data.blobs import Blobs
from harken.demo.world import make_world
from harken.models.lora import AdapterConfig
from harken.models.model import Model
from harken.pipeline.recipe import RecipeError, make_algorithm, preference_objectives, read_recipe
from harken.pipeline.run import Run
from harken.pipeline.settings import AlignConfig
from harken.pipeline.stages import stages
from harken.pipeline.teach import divided_feedback, learnt_feedback
from harken.pipeline.verbs import Feedback, Workplace, read_run_feedback
from harken.reward.mix import Mix
from harken.train.loop import Interrupted
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import PreferencesConfig
from harken.train.rollout import RolloutConfig
from harken.train.stopping import StoppingConfig
from harken.types import Answer, Comparison, Completion, Edit, Rating

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "models"), str(ROOT / "tests" / "journeys")]

from tiny import prompts, tiny_model  # noqa: E402
from tiny_run import OVERRIDES  # noqa: E402

NAMES = ("dpo", "ipo", "kto", "orpo", "simpo")


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> tuple[Blobs, Feedback]:
    blobs = Blobs(tmp_path_factory.mktemp("stage") / "blobs")
    asked = prompts(blobs)
    completions = [Completion(f"{p.id}.{i}", p.id, f"It is {i}.", "sft") for p in asked for i in range(2)]
    answers = [
        Answer(p.id, "ada", "human", Comparison(p.id, f"{p.id}.0", f"{p.id}.1", "ab"[n % 2]))
        for n, p in enumerate(asked)
    ]
    answers.append(Answer("edit", "bob", "human", Edit("p0", "p0.0", "It is seven, I think.")))
    answers.append(Answer("rating", "bob", "human", Rating("p1", "p1.0", 5)))
    return blobs, Feedback(tuple(asked), tuple(completions), tuple(answers))


def config(adapter: AdapterConfig | None = None) -> AlignConfig:
    optimizer = OptimizerConfig(rate=3e-3, muon_rate=0.0, warmup=0)
    return AlignConfig(preferences=PreferencesConfig(8, 6, 2), optimizer=optimizer, adapter=adapter)


def preferred(model: Model, algorithm, said, adapter: AdapterConfig | None, seed: int = 3):
    blobs, feedback = said
    figures: list[dict[str, float]] = []
    at = Workplace(blobs, seed, options={"on_step": lambda done, total, metrics: figures.append(dict(metrics))})
    return harken.fine_tune_with_preferences(
        model, feedback, algorithm=algorithm, config=config(adapter), at=at
    ), figures


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [None, AdapterConfig()], ids=["full", "adapter"])
@pytest.mark.parametrize("name", NAMES)
def test_every_objective_learns_and_leaves_the_model_as_it_was(said, name, adapter):
    model = tiny_model()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    aligned, figures = preferred(model, name, said, adapter)
    assert len(figures) == 8
    assert figures[-1]["loss"] < figures[0]["loss"]
    assert aligned.adapter == (None if adapter is None else "policy")
    names = {key.replace(".base_layer", ""): key for key in model.state_dict() if "lora_" not in key}
    assert names.keys() == before.keys()
    assert all(torch.equal(model.state_dict()[names[key]], value) for key, value in before.items())


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [None, AdapterConfig()], ids=["full", "adapter"])
def test_the_reference_is_the_model_that_the_policy_began_as(said, adapter):
    _, figures = preferred(tiny_model(), DPO(), said, adapter)
    # Before the first step there is nothing between them; a reference that moved along would keep it so.
    assert figures[0]["margin"] == pytest.approx(0.0, abs=1e-5)
    assert figures[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert figures[-1]["margin"] > 0.01


def test_what_does_not_fit_is_an_error(said):
    blobs, feedback = said
    at = Workplace(blobs)
    with pytest.raises(ValueError, match="call fine_tune_with_rl"):
        harken.fine_tune_with_preferences(tiny_model(), feedback, algorithm="grpo", at=at)
    rewarded = AlignConfig(rollout=RolloutConfig(mix=Mix(environment={"ended": 1.0})))
    with pytest.raises(ValueError, match="call fine_tune_with_preferences"):
        harken.fine_tune_with_rl(tiny_model(), None, [], algorithm="dpo", config=rewarded, at=at)
    ties = tuple(a for a in feedback.answers if a.key == "rating")
    with pytest.raises(ValueError, match="no pair to learn from"):
        harken.fine_tune_with_preferences(
            tiny_model(), Feedback(feedback.prompts, feedback.completions, ties), algorithm="dpo", at=at
        )
    one_prompt_apart = replace(config(None), stopping=StoppingConfig(every=2, share=0.01))
    with pytest.raises(ValueError, match=r"stopping\.share.* are too few: .*at least 2 prompts"):
        harken.fine_tune_with_preferences(tiny_model(), feedback, algorithm="kto", config=one_prompt_apart, at=at)


def test_recipes_name_them_all():
    assert set(preference_objectives()) == set(NAMES)
    assert make_algorithm({"name": "dpo", "beta": 0.3}) == DPO(beta=0.3)
    assert isinstance(make_algorithm({"name": "grpo"}), GRPO)
    with pytest.raises(RecipeError, match=r"algorithm\.betta: .*'beta'"):
        make_algorithm({"name": "ipo", "betta": 0.3})
    with pytest.raises(RecipeError, match="beta"):
        make_algorithm({"name": "ipo", "beta": -0.3})


def tiny_dpo(folder: Path, *more: str, stop=lambda: False) -> Run:
    kept = [o for o in OVERRIDES if not o.startswith("algorithm.")]
    small = ["align.preferences.steps=7", "align.preferences.batch=4", "align.preferences.accumulate=2"]
    recipe = read_recipe(ROOT / "recipes" / "dpo.yaml", [*kept, *small, *more])
    run = Run(folder, recipe, make_world, stop=stop)
    with run.locked():
        run.open(resume=True)
        run.execute(stages(recipe))
        run.finish()
    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpo", "kto"])
def test_a_run_stopped_in_the_middle_ends_with_the_same_bits(tmp_path, name):
    chosen = f"algorithm={{name: {name}}}"
    recipe_of = ["algorithm.beta=0.1", f"algorithm.name={name}"] if name == "dpo" else [chosen]
    tiny_dpo(tmp_path / "whole", *recipe_of)

    def stop() -> bool:
        return len(read_metrics(tmp_path / "broken" / "metrics.jsonl", "rounds/1/aligned")) == 4

    with pytest.raises(Interrupted):
        tiny_dpo(tmp_path / "broken", *recipe_of, stop=stop)
    run = tiny_dpo(tmp_path / "broken", *recipe_of)
    one, other = (
        hashlib.sha256((tmp_path / folder / "aligned" / "model.safetensors").read_bytes()).hexdigest()
        for folder in ("whole", "broken")
    )
    assert one == other
    assert one != hashlib.sha256((tmp_path / "whole" / "sft" / "model.safetensors").read_bytes()).hexdigest()
    steps = [r["step"] for r in read_metrics(run.metrics, "rounds/1/aligned")]
    assert steps == list(range(7))


@pytest.mark.slow
def test_a_whole_run_twice_round(tmp_path):
    run = tiny_dpo(tmp_path, "rounds=2")
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert 0 <= found["win_rate_interval"][0] <= found["win_rate"] <= found["win_rate_interval"][1] <= 1
    assert "Training on preferences" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "rounds/1/human_only").exists()
    assert (tmp_path / "rounds/2/aligned/model.safetensors").exists()
    names = [stage.name for stage in stages(run.recipe)]
    assert "rounds/2/reward" in names  # the evaluation asks it
    aligned = next(stage for stage in stages(run.recipe) if stage.name == "rounds/2/aligned")
    assert "rounds/2/reward" not in aligned.inputs
    assert "held_out" in aligned.settings
    learnt = {answer.feedback.prompt_id for answer in learnt_feedback(run).answers}
    everything = {answer.feedback.prompt_id for answer in read_run_feedback(run.folder).answers}
    _, sides, _ = divided_feedback(run)
    assert everything - learnt == {answer.feedback.prompt_id for answer in sides.measured} != set()
