"""Heads beside a language head, and models of heads alone: what they say, and that they are kept."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import Qwen3ForCausalLM

from harken.data.batch import collate, collate_examples, select_prompts
from harken.data.blobs import Blobs
from harken.data.processor import IntegrityError, Processor
from harken.models.encoders import freeze_encoders
from harken.models.features import Features
from harken.models.fusion.build import FamilyConfig, build
from harken.models.load import load_model, load_predictor, speaks
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.models.task_heads import task_outputs

sys.path.insert(0, str(Path(__file__).parent))

from tiny import CORPUS, TINY, prompts, tiny_model

HEADS = {
    "kind": {"name": "classify", "classes": ["a", "b", "c"], "weight": "learnt"},
    "age": {"name": "regress", "outputs": 2},
    "pair": {"name": "contrast", "dimensions": 6},
    "told": {"name": "discriminate", "hidden": 8},
}
BOTH = frozenset({"heads", "logprobs"})


def many_headed(language_weight: float | str = "learnt") -> Model:
    answer = {**TINY.heads["answer"], "weight": language_weight}
    trunk, processor = build(FamilyConfig(TINY.encoders, TINY.fuse, {"answer": answer, **HEADS}), CORPUS, 0)
    return Model(trunk.eval(), Processor(processor)).eval()


def headed(heads: dict | None = None) -> Predictor:
    trunk, processor = build(FamilyConfig(TINY.encoders, {"name": "joined", "width": 16}, heads or HEADS), CORPUS, 0)
    return Predictor(trunk, Processor(processor)).eval()


@pytest.fixture
def encoded(tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    return [many_headed().processor.encode(prompt, blobs) for prompt in prompts(blobs)]


ROWS = [0, 4, 1, 3, 2, 4, 2]


def answers(model: Model, encoded, rows=None):
    ids = torch.tensor([40, 41, 42, 43])
    rows = ROWS if rows is None else rows
    return collate(encoded, [ids[: 1 + n % 4] for n in range(len(rows))], rows, model.processor.pad_id)


@pytest.mark.parametrize("layout", ["shared", "plain"])
def test_heads_have_a_row_for_each_completion_which_is_its_prompt_s(encoded, layout):
    model = many_headed()
    model.layout = layout
    out = model(answers(model, encoded), BOTH)
    shapes = {name: tuple(value.shape) for name, value in out.heads.items() if value.dim()}
    assert shapes == {
        "kind.logits": (7, 3),
        "age.values": (7, 2),
        "pair.one": (7, 6),
        "pair.other": (7, 6),
        "pair.there": (7,),
        "told.logits": (7, 2, 2),
        "told.there": (7, 2),
    }
    assert out.heads["pair.there"].tolist() == [row == 4 for row in ROWS]
    assert out.heads["told.there"].tolist() == [[row in (1, 2, 4), row in (3, 4)] for row in ROWS]
    asked = collate_examples(encoded, model.processor.pad_id, {})
    alone = model(asked, frozenset({"heads"})).heads
    for name in shapes:
        torch.testing.assert_close(out.heads[name], alone[name][ROWS], atol=1e-5, rtol=1e-4)
    assert {name for name, value in out.heads.items() if not value.dim()} == {
        "kind.log_variance",
        "answer.log_variance",
        "pair.scale",
        "pair.bias",
    }


def test_other_completions_and_fuller_batches_change_nothing(encoded):
    model = many_headed()
    batch = answers(model, encoded)
    whole = model(batch, BOTH)
    for row in range(5):
        mine = collate([encoded[row]], [torch.tensor([50])], [0], model.processor.pad_id)
        alone = model(mine, BOTH)
        at = ROWS.index(row)
        for name in ("kind.logits", "age.values", "told.logits"):
            torch.testing.assert_close(alone.heads[name][0], whole.heads[name][at], atol=1e-5, rtol=1e-4)
    assert select_prompts(batch.prompts, batch.completions.prompt).ids.shape[0] == 7


def test_every_part_learns_and_gradients_reach_the_encoders(encoded):
    model = many_headed().train()
    out = model(answers(model, encoded), BOTH)
    total = -out.logprobs.sum() + sum(value.float().square().sum() for value in out.heads.values())
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, [dict(model.named_parameters())[name] for name in names], allow_unused=True)
    still = {name for name, found in zip(names, gradients, strict=True) if found is None}
    assert {name for name in still if "bias" not in name} == set()
    assert any("encoders.image" in name for name in names)


def test_frozen_encoders_are_read_from_the_cache_by_heads_too(encoded, tmp_path):
    model = many_headed()
    before = model(answers(model, encoded), BOTH).heads
    freeze_encoders(model.trunk)
    model.features = Features(model.trunk, tmp_path / "features")
    model.features.fill(model.trunk, encoded, model.processor.pad_id)
    calls = []
    for modality in model.trunk.model.encoders.values():
        modality.register_forward_hook(lambda *_: calls.append(1))
    after = model(answers(model, encoded), BOTH).heads
    assert not calls
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)


def test_a_language_model_keeps_its_heads_and_their_weights(encoded, tmp_path):
    model = many_headed()
    with torch.no_grad():
        model.trunk.heads["kind"].log_variance.fill_(0.3)
        model.trunk.log_variance.fill_(-0.4)
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    batch = answers(model, encoded)
    before, after = model(batch, BOTH), again(batch, BOTH)
    assert torch.equal(before.logprobs, after.logprobs)
    assert set(before.heads) == set(after.heads)
    assert all(torch.equal(before.heads[name], after.heads[name]) for name in before.heads)
    assert after.heads["answer.log_variance"].item() == pytest.approx(-0.4)
    assert speaks(tmp_path / "m")
    with pytest.raises(ValueError, match="has a language head; load it with load_model"):
        load_predictor(tmp_path / "m")


def test_a_model_of_heads_alone_is_kept_and_is_no_policy(encoded, tmp_path):
    model = headed({**HEADS, "same": {"name": "match"}})
    with torch.no_grad():
        model.trunk.heads["kind"].log_variance.fill_(0.3)
    model.save(tmp_path / "m")
    again = load_predictor(tmp_path / "m")
    before, after = model.predict(encoded, batch=2), again.predict(encoded, batch=2)
    assert set(before) == set(after) >= {"kind.logits", "same.matched", "same.mismatched", "same.there"}
    assert all(torch.allclose(before[name].float(), after[name].float(), atol=1e-6) for name in before)
    weights = again.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert again.trunk.heads["kind"].log_variance.item() == pytest.approx(0.3)
    assert not speaks(tmp_path / "m")
    with pytest.raises(ValueError, match=r"without a language head: .* harken predict"):
        load_model(tmp_path / "m")


def test_a_folder_that_is_none_or_broken_is_left_to_who_loads_it(tmp_path):
    assert speaks(tmp_path) and speaks("owner/name")
    (tmp_path / "config.json").write_text("{")
    assert speaks(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3"}))
    assert speaks(tmp_path)


def test_predictions_do_not_depend_on_the_batch(encoded):
    model = headed()
    whole = model.predict(encoded, batch=5)
    for size in (1, 2, 3):
        some = model.predict(encoded, batch=size)
        assert set(some) == set(whole)
        assert all(torch.allclose(some[name].float(), whole[name].float(), atol=1e-5) for name in whole)


def test_matches_are_asked_of_rows_that_have_both(encoded):
    model = headed({"same": {"name": "match", "swapped": "audio"}})
    both = [encoded[4], encoded[1], encoded[4], encoded[3], encoded[4]]
    out = model(collate_examples(both, model.processor.pad_id, {}), frozenset({"heads"})).heads
    assert out["same.there"].tolist() == [True, False, False, False, True]
    alone = model(collate_examples([encoded[4]], model.processor.pad_id, {}), frozenset({"heads"})).heads
    assert not alone["same.there"].any()


def test_features_and_placeholders_must_agree(encoded):
    model = headed()
    batch = collate_examples(encoded[1:3], model.processor.pad_id, {})
    batch.prompts.media["pixel_values"] = batch.prompts.media["pixel_values"][:1]
    with pytest.raises((ValueError, IntegrityError), match="placeholder tokens"):
        model(batch, frozenset({"heads"}))


def test_heads_of_a_stranger_are_asked_in_vain(encoded):
    text = many_headed().trunk.config.text_config
    batch = collate_examples(encoded, 0, {})
    with pytest.raises(ValueError, match=r"Qwen3ForCausalLM has no heads .* belong to harken's own family"):
        task_outputs(Qwen3ForCausalLM(text), batch.prompts, batch.completions.prompt, torch.rand(5, 32))


def test_a_recurrent_layer_is_in_training_where_its_trunk_is_not():
    model = tiny_model()
    model.trunk.ear = nn.GRU(2, 2)
    assert model.train().trunk.ear.training and not model.trunk.model.training
    assert not model.eval().trunk.ear.training
