"""Frozen encoders' features: the same numbers, computed once a medium, kept across processes."""

import pytest
import torch
from tiny import prompts, tiny_model

from harken.data.batch import collate
from harken.data.blobs import Blobs
from harken.models.encoders import encoder_hash, freeze_encoders
from harken.models.features import Features

NEEDS = frozenset({"logprobs", "entropy"})


@pytest.fixture
def scene(tmp_path):
    model, blobs = tiny_model(), Blobs(tmp_path / "blobs")
    encoded = [model.processor.encode(prompt, blobs) for prompt in prompts(blobs)]
    freeze_encoders(model.trunk)
    rows = [0, 1, 1, 2, 3, 4, 4]
    return model, encoded, collate(encoded, [torch.arange(9, 13 + n) for n in range(len(rows))], rows, 0)


@pytest.mark.parametrize("layout", ["shared", "plain"])
def test_the_same_numbers_without_the_encoders(scene, tmp_path, layout, monkeypatch):
    model, encoded, batch = scene
    model.layout = layout
    plain = model(batch, NEEDS)
    model.features = Features(model.trunk, tmp_path / "features")
    with pytest.raises(KeyError, match="never computed"):
        model(batch, NEEDS)
    assert model.features.fill(model.trunk, encoded, 0, batch=2) == 4
    assert model.features.fill(model.trunk, encoded, 0) == 0

    def refuse(*args, **kwargs):
        raise AssertionError("an encoder ran")

    monkeypatch.setattr(model.trunk.model.encoders["image"], "forward", refuse)
    monkeypatch.setattr(model.trunk.model.encoders["audio"], "forward", refuse)
    kept = model(batch, NEEDS)
    torch.testing.assert_close(kept.logprobs, plain.logprobs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(kept.entropy, plain.entropy, atol=1e-5, rtol=1e-5)
    # Another process, another model with the same encoders: nothing to compute.
    assert Features(tiny_model_frozen(), tmp_path / "features").missing(encoded) == []


def tiny_model_frozen():
    trunk = tiny_model().trunk
    freeze_encoders(trunk)
    return trunk


def test_off_where_an_encoder_is_trained(tmp_path):
    with pytest.raises(ValueError, match="frozen encoders only"):
        Features(tiny_model().trunk, tmp_path)


def test_other_encoders_have_another_folder():
    assert encoder_hash(tiny_model(0).trunk) != encoder_hash(tiny_model(1).trunk)
    assert encoder_hash(tiny_model(0).trunk) == encoder_hash(tiny_model(0).trunk)


def test_recomputation_changes_no_bit(scene):
    model, _, batch = scene
    parameters = [p for p in model.trunk.parameters() if p.requires_grad]
    found = []
    model.short = False  # layers that are computed again are whole
    for model.recompute in (False, True):
        out = model(batch, NEEDS)
        gradients = torch.autograd.grad(out.logprobs.sum() + out.entropy.sum(), parameters)
        found.append([out.logprobs, out.entropy, *gradients])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_recomputation_saves_activations(scene):
    model, _, batch = scene
    kept = []
    for model.recompute in (False, True):
        size = 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal size
            size += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(batch, frozenset({"logprobs"}))
        kept.append(size)
    assert kept[1] < 0.6 * kept[0]
