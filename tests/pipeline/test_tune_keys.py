"""What may be searched: keys of the recipe that change how good a model is, and not what is measured."""

from pathlib import Path

import pytest
from tiny_search import tiny_search

from harken.pipeline.recipe import RecipeError, make_recipe, read_plain, resolved
from harken.pipeline.searched import make_search, value_at
from harken.pipeline.space import Range

DEMO = Path(__file__).parents[2] / "recipes" / "demo.yaml"


def search(stage: str, over: dict, *overrides: str):
    plain = read_plain(DEMO, overrides)
    return make_search({**plain, "tune": {"stage": stage, "over": over}})


@pytest.mark.parametrize(
    ("stage", "key", "space", "words"),
    [
        ("sft", "sft.optimizer.rte", "1e-4..1e-2", r"sft\.optimizer\.rte: there is no such key; did you mean 'rate'"),
        ("sft", "stf.optimizer.rate", "1e-4..1e-2", "did you mean 'sft'"),
        ("sft", "sft.data.batch", "0..64", r"batch must be a number from 1 up, not 0"),
        ("sft", "sft.data.batch", "4..8.5", "whole|integer"),
        ("sft", "sft.optimizer.decay", "cosine|liner", "'liner'"),
        ("sft", "sft.optimizer.rate", "3..1", r"sft\.optimizer\.rate: '3\.\.1' is empty"),
        ("sft", "reward.steps", "10..20", "nothing that sft is made of depends on it.*--stage reward or align"),
        ("sft", "seed", "0..9", "of the run and not of a model"),
        ("sft", "data.demonstrations", "10..20", "changes what is measured.*demonstrations"),
        ("sft", "sft.stopping.share", "0.1..0.2", "changes what is measured"),
        ("sft", "model.heads.answer.vocabulary", "300..400", "changes what is measured"),
        ("reward", "reward.weights.edit", "0.5..1.0", "changes what is measured.*answers"),
        ("align", "align.rollout.mix.human_weight", "0.5..1.0", "changes what is measured.*reward"),
    ],
)
def test_what_cannot_be_searched_says_why(stage, key, space, words):
    with pytest.raises(RecipeError, match=words):
        search(stage, {key: space})


def test_other_refusals():
    with pytest.raises(RecipeError, match="changes what is measured"):
        search("align", {"algorithm.beta": "0.1..0.2"}, "algorithm.name=dpo")
    with pytest.raises(RecipeError, match="search apart"):
        search("align", {"algorithm.name": "ppo|dpo"})
    with pytest.raises(RecipeError, match="solved and not trained"):
        search("reward", {}, "reward.model.head=linear")
    with pytest.raises(RecipeError, match=r"feedback\.annotator=file"):
        search("reward", {}, "feedback.annotator=me")


@pytest.mark.slow
def test_a_stage_without_spaces_has_some_around_the_recipe():
    found = search("sft", {}, "sft.optimizer.rate=0.008").spaces
    assert found["sft.optimizer.rate"] == Range(0.001, 0.064, log=True)
    assert found["sft.data.batch"] == Range(16, 64)
    assert found["sft.optimizer.warmup"] == Range(0, 180)
    assert set(search("reward", {}).spaces) == {f"reward.{k}" for k in ("optimizer.rate", "optimizer.muon_rate")} | {
        "reward.batch",
        "reward.optimizer.warmup",
    }
    assert "align.preferences.batch" in search("align", {}, "algorithm.name=dpo").spaces
    assert "align.optimizer.rate" in search("align", {}).spaces


@pytest.mark.slow
def test_a_recipe_without_measures_gets_ten():
    found = search("sft", {"sft.optimizer.rate": "1e-4..1e-2:log"})
    assert found.recipe.sft.stopping.every == 90
    assert search("sft", {}, "sft.stopping.every=7").recipe.sft.stopping.every == 7


def test_parts_that_are_not_searched_stay():
    """Naming one encoder in a recipe leaves the others out; searching one of its settings must not."""
    found = search("sft", {"model.encoders.image.hidden": "32|64"})
    made = make_recipe(found.with_values({"model.encoders.image.hidden": 64}))
    plain = resolved(made)
    assert set(plain["model"]["encoders"]) == {"image", "audio"}
    assert value_at(plain, "model.encoders.image.hidden") == 64
    assert found.own() in (
        {},
        {"model.encoders.image.hidden": value_at(resolved(found.recipe), "model.encoders.image.hidden")},
    )


def test_another_algorithm_takes_the_fields_of_the_old_one_away():
    found = search("align", {"algorithm.name": "ppo|grpo|rloo"})
    assert found.own() == {"algorithm.name": "ppo"}
    assert make_recipe(found.with_values({"algorithm.name": "rloo"})).algorithm["name"] == "rloo"


@pytest.mark.slow
def test_keys_of_earlier_stages_are_told_of():
    assert search("reward", {"reward.steps": "10..20"}).notices == ()
    (notice,) = search("reward", {"sft.optimizer.rate": "1e-4..1e-2", "reward.steps": "10..20"}).notices
    assert "sft.optimizer.rate also change sft" in notice


def test_the_recipe_s_own_values_are_tried_first_where_the_spaces_hold_them():
    assert tiny_search(over={"sft.data.batch": "4..8", "sft.optimizer.rate": "1e-5..1e-4"}).own() == {
        "sft.data.batch": 6
    }
