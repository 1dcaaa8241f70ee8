"""What a recipe can say wrong of a model's parts is told where it is said, with the nearest that is known."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from harken.models.fusion import fuse, heads, parts
from harken.models.fusion.build import FamilyConfig
from harken.models.fusion.parts import PartError
from harken.pipeline.recipe import RecipeError, read_recipe
from harken.pipeline.stages import stages

sys.path.insert(0, str(Path(__file__).parent))

from shades import AUDIO, HEADS, IMAGE, SPEAKING, written

TWO = {"image": IMAGE, "audio": AUDIO}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"encoders": {"image": {"name": "cnnn"}}}, r"encoders\.image\.name: there is no 'cnnn'; did you mean 'cnn'\?"),
    ({"encoders": {"image": {"name": "qqqq"}}}, r"encoders\.image\.name: there is no 'qqqq'; there are .*patches"),
    ({"encoders": {"imagee": IMAGE}}, r"encoders\.imagee: there is no such modality; did you mean 'image'\?"),
    ({"encoders": {"smell": IMAGE}}, r"encoders\.smell: .* there are image, audio, numbers, text"),
    ({"encoders": {"image": {**IMAGE, "widhts": [8]}}}, r"encoders\.image\.widhts: .*did you mean 'widths'\?"),
    ({"encoders": {"image": {**IMAGE, "stem": "many"}}}, r"encoders\.image\.stem: .*'many'"),
    ({"encoders": {"image": {**IMAGE, "stem": 0}}}, r"encoders\.image: image\.stem must be a number from 1 up"),
    ({"encoders": {"image": "cnn"}}, r"encoders\.image"),
    ({"encoders": {"image": {**IMAGE, "widths": [8] * 5}}}, r"encoders\.image: .*shrinks to nothing"),
    ({"encoders": {}}, r"encoders is empty"),
    ({"fuse": {"name": "gatd"}}, r"fuse\.name: there is no 'gatd'; did you mean 'gated'\?"),
    ({"fuse": {"name": "gated", "wdith": 8}}, r"fuse\.wdith: .*did you mean 'width'\?"),
    ({"fuse": {"name": "joined", "width": 10, "heads": 4}}, r"fuse: fuse\.hidden must be a multiple of fuse\.heads"),
    ({"fuse": {"name": "gated", "drop": 1.0}}, r"fuse\.drop"),
    ({"heads": {"a": {"name": "clasify"}}}, r"heads\.a\.name: there is no 'clasify'; did you mean 'classify'\?"),
    ({"heads": {"a": {"name": "classify", "clases": 3}}}, r"heads\.a\.clases: .*did you mean 'classes'\?"),
    ({"heads": {"a": {"name": "classify", "classes": 1}}}, r"heads\.a: heads: classes must be 2 or more"),
    ({"heads": {"a": {"name": "classify", "classes": ["x", "x"]}}}, r"heads\.a: .*names that differ"),
    ({"heads": {"a": {"name": "regress", "weight": "learned"}}}, r"heads\.a: .*'learnt', not 'learned'"),
    ({"heads": {"a": {"name": "regress", "weight": -1}}}, r"heads\.a: .*from 0 up"),
    ({"heads": {"a": {"name": "contrast", "between": ["image", "text"]}}}, r"heads\.a: contrast is between two"),
    ({"heads": {"a": {"name": "match", "swapped": "text"}}}, r"heads\.a: match needs two modalities"),
    ({"heads": {"a.b": {"name": "regress"}}}, r"heads\.a\.b: torch has another use for this name"),
    ({"heads": {"values": {"name": "regress"}}}, r"heads\.values: torch has another use for this name"),
    ({"heads": {}}, r"heads is empty"),
    ({"heads": {"a": SPEAKING, "b": SPEAKING}}, r"a and b are both language heads"),
    (
        {"heads": {"a": SPEAKING, "m": {"name": "match"}}, "fuse": {"name": "gated"}},
        r"heads\.m: match joins media again",
    ),
    ({"heads": {"a": {**SPEAKING, "heads": 3}}}, r"heads\.a: .*even multiple"),
    ({"heads": {"a": SPEAKING}, "fuse": {"name": "gated", "width": 24}}, r"fuse\.width is 24, .*hidden is 16"),
    ({"hedas": {}}, r"model\.hedas: .*'heads'"),
]


@pytest.mark.parametrize(("model", "words"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_a_wrong_part_is_named_with_the_nearest(tmp_path, model, words):
    with pytest.raises(RecipeError, match=words):
        read_recipe(written(tmp_path, model=model))


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        ({"a": {"name": "contrast"}}, "contrast is between two of the model's modalities"),
        ({"a": {"name": "discriminate"}}, "discriminate needs two modalities"),
        ({"a": {"name": "match"}}, "match needs two modalities"),
    ],
)
def test_heads_of_two_modalities_need_two(heads, words):
    with pytest.raises(PartError, match=rf"heads\.a: {words}"):
        FamilyConfig({"image": IMAGE}, {"name": "gated", "width": 8}, heads)


def test_a_recipe_s_own_words_win_over_the_defaults_part_by_part(tmp_path):
    recipe = read_recipe(written(tmp_path), ["model.heads.shade.label_smoothing=0.1", "model.fuse.drop=0.2"])
    assert recipe.model.heads["shade"] == {**HEADS["shade"], "label_smoothing": 0.1}
    assert recipe.model.fuse == {"name": "gated", "width": 8, "drop": 0.2}
    assert set(recipe.model.encoders) == {"image", "audio"}


def test_looking_at_parts_draws_no_numbers():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    FamilyConfig(TWO, {"name": "joined", "width": 8}, HEADS)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sft.augment.image.shfit=1", r"sft\.augment\.image\.shfit: .*'shift'"),
        ("sft.augment.picture.shift=1", r"sft\.augment\.picture: there is no such key"),
        ("sft.attack.raduis={pixel_values: 1}", r"sft\.attack\.raduis: .*'radius'"),
        ("sft.attack.steps=2", r"sft\.attack\.radius"),
        ("sft.attack={radius: {pixel_values: 0.1}, norm: l2}", r"sft\.attack\.norm"),
        ("sft.attack={radius: {pixel_values: 0.1}, low: 0}", r"sft\.attack\.low"),
        ("sft.optimizer.precision=float16", r"sft\.optimizer\.precision"),
        ("sft.optimizer.parts={encoders: -1}", r"sft\.optimizer: optimizer\.parts\.encoders is a factor"),
    ],
)
def test_settings_of_training_are_checked_at_the_door(tmp_path, setting, words):
    with pytest.raises(RecipeError, match=words):
        read_recipe(written(tmp_path), [setting])


def test_an_error_is_one_line_that_ends(tmp_path):
    with pytest.raises(RecipeError) as refused:
        read_recipe(written(tmp_path, model={"fuse": {"name": "gatd"}}))
    assert re.fullmatch(r"model: fuse\.name: there is no 'gatd'; did you mean 'gated'\?", str(refused.value))


def test_the_page_of_the_family_names_every_part():
    page = (Path(__file__).parents[2] / "docs" / "family.md").read_text()
    rooms = [*(package for package, _ in parts.ENCODERS.values()), fuse, heads]
    missing = [name for room in rooms for name in parts.names_in(room) if f"`{name}`" not in page]
    assert not missing


def test_the_recipes_of_the_page_are_what_it_says():
    recipes = Path(__file__).parents[2] / "recipes"
    alone, beside = (read_recipe(recipes / f"{name}.yaml") for name in ("heads", "answer_and_classify"))
    assert [stage.verb for stage in stages(alone)] == ["sft", "evaluate", "report"]
    assert {stage.verb for stage in stages(beside)} == {"sft", "collect", "reward", "align", "evaluate", "report"}
