"""A recipe with a language head and others: one stage learns all, and the policy goes on as any other."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harken.algorithms.sft import SFT
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.prompts import load_prompts
from harken.evaluate.words import of_head
from harken.feedback.intake import answer_record
from harken.models.load import load_model
from harken.models.model import Model
from harken.pipeline.recipe import Recipe
from harken.pipeline.teach import spoken_heads, start_model
from harken.train.loop import Interrupted
from harken.train.metrics_log import read_metrics
from harken.train.sources import Demonstrations, DemonstrationsConfig, Taught
from harken.train.targets import TargetError, targets_of
from harken.types import Answer, Comparison

sys.path.insert(0, str(Path(__file__).parent))

from shades import AUDIO, HEADS, IMAGE, SPEAKING, prepared, run, write_prompts

SMALL = {
    "completions": {"prompts": 6, "each": 2, "decoding": {"max_tokens": 6}},
    "feedback": {"annotator": "file", "answers": "", "comparisons": 0, "ratings": 0, "edits": 0},
    "reward": {"steps": 1, "batch": 4},
    "algorithm": {"name": "ppo", "group": 2, "epochs": 1},
    "align": {"rollout": {"iterations": 1, "prompts": 4, "minibatches": 1, "decoding": {"max_tokens": 6}}},
    "evaluation": {"decoding": {"max_tokens": 6}, "resamples": 20, "examples": 1},
}
LEARNT = {name: {**head, "weight": "learnt"} for name, head in HEADS.items()}


def speaking(folder: Path, heads: dict | None = None, **changes) -> Recipe:
    answer = {"answer": {**SPEAKING, "weight": "learnt"}}
    model = {
        "encoders": {"image": IMAGE, "audio": AUDIO},
        "fuse": {"name": "joined"},
        "heads": {**answer, **(LEARNT if heads is None else heads)},
    }
    sft = {"data": {"steps": 60, "batch": 12}, "optimizer": {"rate": 0.02, "muon_rate": 0.02, "warmup": 0}}
    return prepared(folder, **{"model": model, "sft": sft, **changes})


def right(model: Model, folder: Path) -> float:
    """How often the class of a held-out prompt is right."""
    blobs = Blobs(folder / "held")
    asked = load_prompts(folder / "test.jsonl", blobs)
    source = Demonstrations(
        [(prompt, "x") for prompt in asked], EncodedPrompts(model.processor, blobs), DemonstrationsConfig(1, 64), 0
    )
    batch = source.batch_of(range(len(asked)))
    said = model(batch, frozenset({"heads"})).heads["shade.logits"].argmax(1)
    targets = targets_of(asked, model.trunk.config.head_parts())["shade"]
    return float((said == targets).float().mean())


@pytest.mark.slow
def test_answers_and_heads_are_learnt_at_once_and_weights_move(tmp_path):
    done, told = run(speaking(tmp_path), tmp_path / "run", only=("sft",))
    model = load_model(done.folder / "sft")
    lines = read_metrics(done.metrics, "sft")
    first, last = lines[0], lines[-1]
    for name in ("answer/loss", "shade/loss", "light/loss"):
        assert last[name] < 0.7 * first[name], name
    assert right(model, tmp_path) > 0.8
    variances = {name: p.detach().item() for name, p in model.trunk.named_parameters() if name.endswith("log_variance")}
    assert set(variances) == {"log_variance", "heads.shade.log_variance", "heads.light.log_variance"}
    assert all(abs(value) > 0.05 for value in variances.values())
    assert told.lines == []


def test_drop_leaves_media_out_of_demonstrations(tmp_path):
    losses = []
    for drop in (0.0, 0.9):
        sft = {"data": {"steps": 2, "batch": 12}}
        recipe = speaking(tmp_path, sft=sft)
        model = replace(recipe.model, fuse={"name": "joined", "drop": drop})
        done, _ = run(replace(recipe, model=model), tmp_path / f"run{drop}", only=("sft",))
        losses.append(read_metrics(done.metrics, "sft")[0]["loss"])
    assert losses[0] != losses[1]


def test_a_model_without_other_heads_learns_as_before(tmp_path):
    recipe = speaking(tmp_path, {})
    done, _ = run(recipe, tmp_path / "run", only=())
    heads, objective = spoken_heads(start_model(done))
    assert heads == {}
    assert objective == SFT()


def test_parts_of_a_step_are_marked_with_its_tokens(tmp_path):
    done, _ = run(speaking(tmp_path), tmp_path / "run", only=())
    model, pairs = start_model(done), done.world.demonstrations
    targets = targets_of([prompt for prompt, _ in pairs], model.trunk.config.head_parts())
    encoded = EncodedPrompts(model.processor, done.blobs)
    _, objective = spoken_heads(model)
    values = []
    for parts in (1, 5):
        source = Demonstrations(pairs, encoded, DemonstrationsConfig(4, 12, parts), 0, Taught(targets))
        made = source.batches(2)
        losses = [objective.loss(model(batch, objective.needs), batch) for batch in made]
        values.append(sum(loss.value.detach() * loss.weight for loss in losses) / 12)
    torch.testing.assert_close(values[0], values[1], atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_early_stopping_needs_no_fact_in_what_is_held_out(tmp_path):
    """One prompt of twenty-four has the fact; it is learnt from or held out, and both are fine."""
    write_prompts(tmp_path, facts=lambda n, kind: {"shade": "dark"} if n == 3 else {})
    sft = {"data": {"steps": 4, "batch": 8}, "stopping": {"every": 2, "share": 0.3}}
    done, told = run(speaking(tmp_path, {"shade": HEADS["shade"]}, sft=sft), tmp_path / "run", only=("sft",))
    assert (done.folder / "sft" / "model.safetensors").exists()
    assert told.lines == ["heads.shade: no example is of 2 of its classes (grey, bright)"]


@pytest.mark.slow
def test_what_would_teach_nothing_is_said_or_refused(tmp_path):
    write_prompts(tmp_path, facts=lambda n, kind: {"shade": "dark"})
    recipe = speaking(tmp_path)
    with pytest.raises(TargetError, match=r"heads\.light has no data"):
        run(recipe, tmp_path / "a", only=("sft",))
    sft = {"data": {"steps": 1, "batch": 4}, "adapter": {"rank": 2}}
    write_prompts(tmp_path)
    with pytest.raises(ValueError, match=r"sft\.adapter trains nothing but .* \(shade, light\) would learn nothing"):
        run(speaking(tmp_path, sft=sft), tmp_path / "b", only=("sft",))
    lines = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    kept = [{**line, "references": []} if n < 5 else line for n, line in enumerate(lines)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, kept)) + "\n")
    _, told = run(speaking(tmp_path, sft={"data": {"steps": 1}}), tmp_path / "c", only=("sft",))
    assert told.lines == ["5 prompts have facts for shade, light but no references; they teach nothing"]


@pytest.mark.slow
def test_augmented_and_attacked_media_are_encoded_although_encoders_are_frozen(tmp_path):
    sft = {
        "data": {"steps": 3, "batch": 8},
        "augment": {"image": {"shift": 1}},
        "attack": {"radius": {"pixel_values": 0.02}},
        "optimizer": {"precision": "bfloat16"},
    }
    recipe = speaking(tmp_path, sft=sft)
    model = {"freeze_encoders": True, "encoders": recipe.model.encoders, "heads": recipe.model.heads}
    frozen = speaking(tmp_path, sft=sft, model={**model, "fuse": {"name": "joined"}})
    done, _ = run(frozen, tmp_path / "run", only=("sft",))
    assert len(read_metrics(done.metrics, "sft")) == 3


@pytest.mark.slow
def test_the_whole_loop_goes_round_on_such_a_policy(tmp_path):
    answers = tmp_path / "answers.jsonl"
    answers.write_text("")
    feedback, sft = {**SMALL["feedback"], "answers": str(answers)}, {"data": {"steps": 2, "batch": 4}}
    recipe = speaking(tmp_path, **{**SMALL, "feedback": feedback, "sft": sft})
    done, _ = run(recipe, tmp_path / "run", only=("sft",))
    collecting = tmp_path / "run" / "rounds" / "1" / "completions.jsonl"
    with pytest.raises(Interrupted, match="waits for their answers"):
        run(recipe, tmp_path / "run", resume=True, only=("collect",))
    made = [json.loads(line) for line in collecting.read_text().splitlines()]
    by: dict[str, list[str]] = {}
    for line in made:
        by.setdefault(line["prompt_id"], []).append(line["id"])
    said = [Answer(name, "ada", "human", Comparison(name, a, b, "a")) for name, (a, b) in by.items()]
    answers.write_text("".join(json.dumps(answer_record(answer)) + "\n" for answer in said))
    run(recipe, tmp_path / "run", resume=True)
    aligned, begun = load_model(done.folder / "aligned"), load_model(done.folder / "sft")
    mine, its = dict(aligned.trunk.named_parameters()), dict(begun.trunk.named_parameters())
    assert torch.equal(mine["heads.shade.read.weight"], its["heads.shade.read.weight"])
    assert not torch.equal(mine["model.language_model.norm.weight"], its["model.language_model.norm.weight"])
    found = json.loads((done.folder / "evaluation.json").read_text())["heads_by_model"]
    assert list(found) == ["sft", "aligned"]
    assert found["sft"]["shade"]["accuracy"] == pytest.approx(right(begun, tmp_path))
    assert found["aligned"]["shade"]["accuracy"] == pytest.approx(right(aligned, tmp_path))
    assert found["sft"]["light"]["count"] == found["sft"]["shade"]["count"]
    page = (done.folder / "report.html").read_text()
    assert of_head(found["aligned"]["shade"]) in page
    assert of_head(found["sft"]["light"]) in page
