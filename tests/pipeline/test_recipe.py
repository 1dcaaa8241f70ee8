from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from harken.algorithms.grpo import GRPO
from harken.feedback.annotators.judge import JudgeConfig
from harken.pipeline.recipe import Recipe, RecipeError, make_algorithm, merge, override, read_recipe, resolved
from harken.pipeline.stages import stages
from harken.train.optimizers import OptimizerConfig

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


def test_null_takes_away_what_has_a_name_of_the_users_own_and_empties_what_may_be_empty(tmp_path):
    heads = "{a: {name: classify, classes: 3}, b: {name: regress}}"
    (tmp_path / "a.yaml").write_text(f"model: {{heads: {heads}}}\nsft: {{attack: {{radius: {{pixel_values: 0.1}}}}}}\n")
    found = read_recipe(tmp_path / "a.yaml", ["model.heads.a=null", "sft.attack=null"])
    assert set(found.model.heads) == {"b"}
    assert found.sft.attack is None
    with pytest.raises(RecipeError, match=r"model\.heads\.c=null: the recipe does not say it.*it says a, b there"):
        read_recipe(tmp_path / "a.yaml", ["model.heads.c=null"])
    with pytest.raises(RecipeError, match=r"model\.encoders\.audio=null: the recipe does not say it"):
        read_recipe(tmp_path / "a.yaml", ["model.encoders.audio=null"])
    radii = ["sft.attack.radius.samples=0.01", "sft.attack.radius.pixel_values=null"]
    assert read_recipe(tmp_path / "a.yaml", radii).sft.attack.radius == {"samples": 0.01}
    assert read_recipe(tmp_path / "a.yaml", ["model.heads.a.classes=null"]).model.heads["a"] == {"name": "classify"}


def test_another_part_leaves_the_settings_of_the_old_one_behind(tmp_path):
    text = "{name: words, dimensions: 8}"
    (tmp_path / "a.yaml").write_text(
        f"name: mine\nmodel: {{encoders: {{text: {text}}}, fuse: {{name: gated, drop: 0.1}}}}\n"
    )
    for said in ("model.encoders.text={name: gru}", "model.encoders.text.name=gru"):
        found = read_recipe(tmp_path / "a.yaml", [said, "model.fuse.drop=0.2", "name=other"])
        assert found.model.encoders == {"text": {"name": "gru"}}
        assert (found.model.fuse["drop"], found.name) == (0.2, "other")
    kept = read_recipe(tmp_path / "a.yaml", ["model.encoders.text.lower=false"]).model.encoders["text"]
    assert kept == {"name": "words", "dimensions": 8, "lower": False}


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


def test_naming_one_key_of_a_part_leaves_its_neighbours(tmp_path):
    (tmp_path / "r.yaml").write_text("align: {optimizer: {warmup: 3}}\nreward: {weights: {rating: 0.1}}\n")
    recipe = read_recipe(tmp_path / "r.yaml", ["reward.optimizer.warmup=2", "algorithm.name=grpo"])
    default = Recipe()
    assert recipe.align.optimizer == replace(default.align.optimizer, warmup=3)
    assert recipe.reward.optimizer == replace(default.reward.optimizer, warmup=2)
    assert recipe.align.optimizer.rate != OptimizerConfig().rate, "the part's own default is not the class's"
    assert recipe.reward.weights == {**default.reward.weights, "rating": 0.1}
    steered = read_recipe(tmp_path / "r.yaml", ["algorithm.name=grpo", "algorithm.kl.initial=0.3"]).made_algorithm()
    assert steered.kl == replace(GRPO().kl, initial=0.3)


def test_another_algorithm_does_not_inherit_the_fields_of_the_file_s(tmp_path):
    (tmp_path / "r.yaml").write_text("algorithm: {name: ppo, clip: 0.1, epochs: 2}\n")
    assert read_recipe(tmp_path / "r.yaml", ["algorithm.name=dpo"]).algorithm == {"name": "dpo"}
    turned = read_recipe(tmp_path / "r.yaml", ["algorithm.beta=0.3", "algorithm.name=dpo"])
    assert turned.algorithm == {"name": "dpo", "beta": 0.3}
    same = read_recipe(tmp_path / "r.yaml", ["algorithm.name=ppo", "algorithm.epochs=3"])
    assert same.algorithm == {"name": "ppo", "clip": 0.1, "epochs": 3}


@pytest.mark.parametrize(
    "setting",
    [
        "rounds=0", "threads=0", "checkpoint_every=0", "data.ask=0", "data.held_out=0", "data.demonstrations=-1",
        "model.heads.answer.heads=0", "model.heads.answer.hidden=30", "model.encoders.image.heads=0",
        "model.encoders.audio.mels=0", "sft.data.batch=0", "sft.data.steps=-1", "sft.data.accumulate=0",
        "sft.optimizer.rate=-1", "sft.optimizer.warmup=-1", "sft.optimizer.max_norm=-1", "sft.optimizer.rate=.nan",
        "sft.optimizer.beta2=2", "completions.each=0", "completions.prompts=0", "completions.held_out=2",
        "completions.held_out=-0.1", "feedback.comparisons=-1", "feedback.overlap=0", "reward.steps=-1",
        "reward.batch=0", "reward.accumulate=0", "reward.shrink=-1", "reward.model.heads=0", "reward.model.prior=-1",
        "align.rollout.iterations=-1", "align.rollout.prompts=0", "align.rollout.minibatches=0",
        "align.rollout.minibatches=65", "align.rollout.accumulate=0", "align.preferences.batch=0",
        "algorithm.epochs=0", "algorithm.group=0", "algorithm.clip=-0.1", "algorithm.gamma=1.5", "algorithm.lam=-1",
        "evaluation.resamples=0", "evaluation.examples=-1",
    ],
)  # fmt: skip
def test_sizes_and_counts_are_refused_at_the_door(tmp_path, setting):
    (tmp_path / "r.yaml").write_text("name: x\n")
    with pytest.raises(RecipeError, match=setting.split("=")[0].rsplit(".", 1)[-1]):
        read_recipe(tmp_path / "r.yaml", [setting])


def test_a_misspelt_name_of_an_algorithm_is_told_as_such():
    with pytest.raises(RecipeError, match=r"algorithm\.nam: .* did you mean 'name'"):
        make_algorithm({"name": "ppo", "nam": "grpo"})
