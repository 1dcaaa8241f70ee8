from pathlib import Path

import pytest
import yaml

from harken.feedback.annotators.judge import JudgeConfig
from harken.pipeline.recipe import Recipe, RecipeError, make_algorithm, merge, override, read_recipe, resolved
from harken.pipeline.stages import stages

ROOT = Path(__file__).parents[2]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_an_empty_recipe_is_the_defaults(tmp_path):
    assert read_recipe(written(tmp_path, "")) == Recipe()


def test_overrides_win_and_are_typed(tmp_path):
    recipe = read_recipe(
        written(tmp_path, "seed: 3\nalign: {rollout: {iterations: 7}}"),
        ["align.rollout.iterations=9", "algorithm.clip=0.1", "name=mine", "reward.combine=worst"],
    )
    assert (recipe.seed, recipe.align.rollout.iterations, recipe.name) == (3, 9, "mine")
    assert recipe.reward.combine == "worst"
    assert recipe.made_algorithm().clip == 0.1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sed: 1", r"sed: .*did you mean 'seed'"),
        ("align: {rollout: {iteratoins: 3}}", r"align\.rollout\.iteratoins: .*'iterations'"),
        ("seed: many", r"seed: .*'many'"),
        ("algorithm: {name: pppo}", r"algorithm\.name: there is no 'pppo'; did you mean 'ppo'"),
        ("algorithm: {name: ppo, clipp: 1}", r"algorithm\.clipp: .*'clip'"),
        ("- a\n- b", "a recipe is a mapping"),
        ("a: [", "is no YAML"),
        ("reward: {combine: best}", r"reward\.combine"),
        ("feedback: {annotator: judge}", r"feedback: .*feedback\.judge\.url"),
        ("feedback: {annotator: judge, judge: {url: 'http://x', model: m}}", r"feedback\.edits=0"),
        ("feedback: {judge: {url: x, model: m}}", r"feedback\.judge: .*http://"),
        ("feedback: {judge: {url: 'http://x', modle: m}}", r"feedback\.judge\.modle: .*'model'"),
    ],
)
def test_a_wrong_recipe_says_where(tmp_path, text, words):
    with pytest.raises(RecipeError, match=words):
        read_recipe(written(tmp_path, text))


def test_a_missing_recipe_and_a_wrong_override(tmp_path):
    with pytest.raises(RecipeError, match="there is no recipe"):
        read_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="write key=value"):
        override("seed")


def test_a_judge_is_a_recipe_s_annotator(tmp_path):
    told = ["feedback.annotator=judge", "feedback.judge.url=http://x:1", "feedback.judge.model=m", "feedback.edits=0"]
    recipe = read_recipe(written(tmp_path, ""), told)
    assert recipe.feedback.judge == JudgeConfig("http://x:1", "m")
    assert resolved(recipe)["feedback"]["judge"]["model"] == "m"
    collect = next(stage for stage in stages(recipe) if stage.name == "rounds/1/feedback")
    assert collect.outputs == ("rounds/1/feedback.jsonl", "rounds/1/judge.json")


def test_merge_is_deep():
    assert merge({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}}) == {"a": {"b": 9, "c": 2}, "d": 3}


def test_resolved_names_every_setting_of_the_algorithm():
    plain = resolved(Recipe(algorithm={"name": "grpo", "group": 3}))
    assert plain["algorithm"]["name"] == "grpo"
    assert plain["algorithm"]["group"] == 3
    assert set(plain["algorithm"]) > {"clip", "epochs", "kl"}


def test_every_rl_algorithm_can_be_named():
    for name in ("ppo", "grpo", "reinforce"):
        assert make_algorithm({"name": name}).epochs >= 1


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda p: p.name)
def test_the_houses_own_recipes_are_read(path):
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert yaml.safe_load(path.read_text())["name"] == path.stem
