"""A recipe without a language head: heads learn from facts, are judged on held-out prompts, and go on exactly."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
import typer
from rich.console import Console
from safetensors.torch import load_file

from harken.cli.session import go_recipe
from harken.cli.table import print_results
from harken.data.blobs import Blobs
from harken.models.load import load_predictor
from harken.pipeline.ask import read_held_out
from harken.pipeline.recipe import RecipeError
from harken.pipeline.stages import stages
from harken.train.loop import Interrupted
from harken.train.metrics_log import read_metrics
from harken.train.targets import TargetError

sys.path.insert(0, str(Path(__file__).parent))

from shades import IMAGE, prepared, run, write_prompts


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "sft" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_it_learns_and_is_judged_with_intervals_and_then_has_nothing_to_do(tmp_path):
    recipe = prepared(tmp_path, sft={"data": {"steps": 60, "batch": 12}})
    done, told = run(recipe, tmp_path / "run")
    assert [stage.verb for stage in stages(recipe)] == ["sft", "evaluate", "report"]
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    shade, light = found["heads"]["shade"], found["heads"]["light"]
    assert shade["count"] == light["count"] == found["prompts"] == 12
    assert shade["accuracy"] > 0.9
    assert [(one["class"], one["count"]) for one in shade["classes"]] == [("dark", 4), ("grey", 4), ("bright", 4)]
    found_of_all = sum(one["recall"]["share"] * one["count"] for one in shade["classes"])
    assert found_of_all == pytest.approx(shade["accuracy"] * 12)
    assert sum(one["said"] for one in shade["classes"]) == 12
    assert light["absolute_error"] < 0.5
    for head, figure in ((shade, "accuracy"), (light, "absolute_error")):
        assert head["interval"][0] <= head[figure] <= head["interval"][1]
    assert set(load_predictor(tmp_path / "run" / "sft").trunk.config.heads) == {"shade", "light"}
    held_out = read_held_out(tmp_path / "run", Blobs(tmp_path / "others"))
    assert [prompt.id for prompt in held_out] == [f"test{n}" for n in range(12)], "what harken explain RUN takes"
    _, again = run(recipe, tmp_path / "run")
    assert again.states == [(name, "current") for name in ("sft", "evaluation", "report")]
    assert told.lines == []
    console = Console(record=True, width=200)
    print_results(console, done.folder)
    shown = console.export_text()
    assert "12 held-out prompts" in " ".join(shown.split()) and "shade" in shown and "absolute error" in shown
    assert re.search(r"found of bright +│ +\S+ % │ .* │ 4; right of \d+ said \S+ %", shown)


@pytest.mark.slow
def test_what_is_compared_with_other_rows_needs_other_rows(tmp_path):
    heads = {"near": {"name": "contrast", "between": ["image", "audio"]}}
    for data in ({"batch": 1}, {"batch": 8, "accumulate": 8}):
        recipe = prepared(tmp_path, sft={"data": {"steps": 2, **data}}, model={"heads": heads})
        with pytest.raises(ValueError, match=r"heads\.near: .*raise sft\.data\.batch, or lower sft\.data\.accumulate"):
            run(recipe, tmp_path / f"run{len(data)}", only=("sft",))


@pytest.mark.slow
def test_a_rare_class_may_weigh_more(tmp_path):
    """Where the others weigh nothing, it is all that is said."""
    said = {}
    for name, weights in (("plain", []), ("weighed", [3.0, 0.0, 0.0])):
        heads = {"shade": {"name": "classify", "classes": ["dark", "grey", "bright"], "class_weights": weights}}
        done, _ = run(
            prepared(tmp_path, sft={"data": {"steps": 6, "batch": 8}}, model={"heads": heads}), tmp_path / name
        )
        classes = json.loads((done.folder / "evaluation.json").read_text())["heads"]["shade"]["classes"]
        said[name] = {one["class"]: one["said"] for one in classes}.get("dark", 0)
    assert said["plain"] < said["weighed"] == 12
    with pytest.raises(RecipeError, match="class_weights are 2 numbers from 0 up, one a class"):
        prepared(tmp_path, model={"heads": {"a": {"name": "classify", "classes": 2, "class_weights": [1.0]}}})


@pytest.mark.slow
def test_a_recipe_whose_parts_a_folder_overrules_is_told_so(tmp_path):
    short = {"data": {"steps": 2, "batch": 4}}
    done, told = run(prepared(tmp_path, sft=short), tmp_path / "run", only=("sft",))
    assert told.lines == []
    again = prepared(tmp_path, sft=short, model={"path": str(done.folder / "sft")})
    _, told = run(again, tmp_path / "again", only=("sft",))
    assert any(
        "what the recipe says of model.encoders and model.fuse and model.heads is not read" in line
        for line in told.lines
    )


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    moved = {"image": {"shift": 1}, "audio": {"bands": 2, "frames": 3}}
    recipe = prepared(
        tmp_path,
        sft={
            "data": {"steps": 12, "batch": 8},
            "augment": moved,
            "attack": {"radius": {"pixel_values": 0.05}, "steps": 2},
            "stopping": {"every": 3, "share": 0.2},
        },
    )
    run(recipe, tmp_path / "whole")
    asked = iter([False] * 5 + [True])
    with pytest.raises(Interrupted, match="sft stopped after step 6 of 12"):
        run(recipe, tmp_path / "a", stop=lambda: next(asked))
    run(recipe, tmp_path / "a", resume=True)
    assert same(tmp_path / "whole", tmp_path / "a")


@pytest.mark.slow
def test_training_goes_on_from_a_folder(tmp_path):
    run(prepared(tmp_path), tmp_path / "first")
    begun = {"path": str(tmp_path / "first" / "sft")}
    still = prepared(tmp_path, model=begun, sft={"data": {"steps": 0}})
    run(still, tmp_path / "still")
    assert same(tmp_path / "first", tmp_path / "still")
    on = prepared(tmp_path, model={**begun, "freeze_encoders": True})
    run(on, tmp_path / "on")
    before, after = weights(tmp_path / "first"), weights(tmp_path / "on")
    assert not torch.equal(before["heads.shade.read.weight"], after["heads.shade.read.weight"])
    encoders = [name for name in before if "encoders" in name]
    assert encoders and all(torch.equal(before[name], after[name]) for name in encoders)


@pytest.mark.slow
def test_training_ends_early_and_leaves_the_best(tmp_path):
    wild = {"optimizer": {"rate": 1.0, "muon_rate": 0, "warmup": 0}, "data": {"steps": 40, "batch": 8}}
    recipe = prepared(tmp_path, sft={**wild, "stopping": {"every": 1, "patience": 3, "share": 0.25}})
    done, _ = run(recipe, tmp_path / "run", only=("sft",))
    measures = [line["measure"] for line in read_metrics(done.metrics, "sft")]
    assert len(measures) < 40
    assert len(measures) - 1 - max(range(len(measures)), key=measures.__getitem__) == 3


@pytest.mark.parametrize("verb", ["collect", "reward", "align"])
def test_other_verbs_say_that_there_is_nothing_for_them(tmp_path, verb, capsys):
    prepared(tmp_path)
    with pytest.raises(typer.Exit) as ended:
        go_recipe(tmp_path / "recipe.yaml", [], tmp_path / "run", False, False, verb)
    assert ended.value.exit_code == 2
    assert f"{verb}: this recipe's model has no language head" in capsys.readouterr().err


@pytest.mark.slow
def test_sft_evaluate_and_report_are_verbs_of_it(tmp_path):
    prepared(tmp_path, sft={"data": {"steps": 1, "batch": 4}})
    for verb in ("sft", "evaluate", "report"):
        go_recipe(tmp_path / "recipe.yaml", [], tmp_path / "run", False, False, verb)
    assert (tmp_path / "run" / "evaluation.json").exists()
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.slow
def test_a_modality_may_lack_in_some_prompts_and_in_whole_batches(tmp_path):
    """Batches of two: many without any sound; one prompt has words alone."""
    write_prompts(tmp_path, 24, parts=lambda n, content: content[1:2] if n == 4 else content)
    recipe = prepared(tmp_path, sft={"data": {"steps": 12, "batch": 2}})
    run(recipe, tmp_path / "run")
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "run").values())


def test_a_modality_that_no_prompt_has_is_refused(tmp_path):
    write_prompts(tmp_path, parts=lambda n, content: content[:2])
    with pytest.raises(ValueError, match=r"encoders\.audio has no data: none of the 24 prompts has audio; leave"):
        run(prepared(tmp_path), tmp_path / "run")


def test_a_modality_without_an_encoder_is_refused(tmp_path):
    recipe = prepared(tmp_path, model={"encoders": {"image": IMAGE}})
    with pytest.raises(ValueError, match=r"prompt 'test0' has 1 audio part.*takes none"):
        run(recipe, tmp_path / "run")


def test_classes_that_no_example_is_of_are_told(tmp_path):
    write_prompts(tmp_path, facts=lambda n, kind: {"shade": "dark" if kind == 0 else None, "light": 0.5})
    _, told = run(prepared(tmp_path, sft={"data": {"steps": 1}}), tmp_path / "run")
    assert told.lines == ["heads.shade: no example is of 2 of its classes (grey, bright)"]


@pytest.mark.slow
def test_a_head_without_data_is_refused_in_training_and_counts_nobody_in_the_test(tmp_path):
    write_prompts(tmp_path, facts=lambda n, kind: {"light": 0.5})
    with pytest.raises(TargetError, match=r"heads\.shade has no data"):
        run(prepared(tmp_path), tmp_path / "run")
    write_prompts(tmp_path)
    write_prompts(tmp_path, 6, "test", seed=1, facts=lambda n, kind: {"light": 0.5})
    run(prepared(tmp_path, sft={"data": {"steps": 1}}), tmp_path / "run2")
    found = json.loads((tmp_path / "run2" / "evaluation.json").read_text())
    assert found["heads"]["shade"] == {"count": 0}
    console = Console(record=True, width=200)
    print_results(console, tmp_path / "run2")
    assert "none of the held-out prompts can be judged" in console.export_text()


def test_a_wrong_fact_of_a_held_out_prompt_is_said_before_anything_is_learnt(tmp_path):
    write_prompts(tmp_path, 6, "test", facts=lambda n, kind: {"shade": "gray", "light": 0.5})
    with pytest.raises(TargetError, match=r"'test0': facts\.shade is 'gray'.*did you mean 'grey'"):
        run(prepared(tmp_path), tmp_path / "run")
    assert not (tmp_path / "run" / "training").exists()


@pytest.mark.slow
def test_what_stands_together_is_learnt_without_facts(tmp_path):
    heads = {"pair": {"name": "contrast", "dimensions": 8}, "same": {"name": "match"}}
    write_prompts(tmp_path, parts=_both, facts=lambda n, kind: {})
    write_prompts(tmp_path, 12, "test", parts=_both, facts=lambda n, kind: {}, seed=1)
    recipe = prepared(tmp_path, model={"heads": {**heads, "told": {"name": "discriminate"}}})
    run(recipe, tmp_path / "run")
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())["heads"]
    assert set(found) == {"pair", "same"}, "a discriminator is there to be misled"
    assert found["same"]["count"] == 24
    assert set(found["pair"]) == {"recall@1", "recall@10"}
    assert found["pair"]["recall@1"]["chance"] == pytest.approx(1 / 12)
    console = Console(record=True, width=200)
    print_results(console, tmp_path / "run")
    assert "recall@10" in console.export_text()


def _both(n: int, content: list[dict]) -> list[dict]:
    return [content[0], {"type": "audio", "audio": content[0]["image"].replace(".png", ".wav")}]


def test_what_belongs_to_language_models_is_refused(tmp_path):
    recipe = prepared(tmp_path, sft={"adapter": {"rank": 2}})
    with pytest.raises(ValueError, match=r"sft\.adapter: adapters are for language models"):
        stages(recipe)


def test_an_attack_on_what_no_prompt_has_is_refused(tmp_path):
    recipe = prepared(tmp_path, sft={"attack": {"radius": {"pixels": 0.1}}})
    with pytest.raises(ValueError, match=r"attack\.radius\.pixels: no prompt .* pixel_values"):
        run(recipe, tmp_path / "run")
