"""Several roles on one copy of the weights."""

import pytest
import torch
from tiny import prompts, tiny_model

from harken.data.batch import collate
from harken.data.blobs import Blobs
from harken.models.load import load_model
from harken.models.lora import (
    AdapterConfig,
    adapters_of,
    add_adapter,
    free_name,
    load_adapter,
    save_adapter,
    train_adapter,
    weights_hash,
)

LOGPROBS = frozenset({"logprobs"})


@pytest.fixture
def scene(tmp_path):
    model, blobs = tiny_model(), Blobs(tmp_path / "blobs")
    encoded = [model.processor.encode(prompt, blobs) for prompt in prompts(blobs)]
    rows = [0, 1, 1, 2, 3, 4]
    return model, collate(encoded, [torch.arange(9, 13 + n) for n in range(len(rows))], rows, 0)


def stir(model, name: str) -> None:
    generator = torch.Generator().manual_seed(sum(name.encode()))
    with torch.no_grad():
        for key, parameter in model.trunk.named_parameters():
            if f"lora_B.{name}" in key:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)


def test_roles_differ_and_the_reference_is_what_it_was(scene):
    model, batch = scene
    before, below = model(batch, LOGPROBS).logprobs, weights_hash(model.trunk)
    for name in ("policy", "reward"):
        add_adapter(model.trunk, name, AdapterConfig(rank=3), 0)
    policy, reward, reference = (model.beside(name) for name in ("policy", "reward", None))
    # A new adapter changes nothing.
    torch.testing.assert_close(policy(batch, LOGPROBS).logprobs, before, atol=2e-6, rtol=1e-6)
    stir(model, "policy")
    stir(model, "reward")
    spoken = [role(batch, LOGPROBS).logprobs for role in (policy, reward, reference)]
    torch.testing.assert_close(spoken[2], before, atol=2e-6, rtol=1e-6)
    assert (spoken[0] - before).abs().max() > 0.01
    assert (spoken[0] - spoken[1]).abs().max() > 0.01
    assert weights_hash(model.trunk) == below
    assert adapters_of(model.trunk) == {"policy", "reward"}
    assert free_name(model.trunk, "policy") == "policy1"


def test_only_the_named_adapter_is_trained(scene):
    model, batch = scene
    for name in ("policy", "reward"):
        add_adapter(model.trunk, name, AdapterConfig(rank=3), 0)
    train_adapter(model.trunk, "policy")
    policy = model.beside("policy")
    policy.recompute = True
    out = policy(batch, LOGPROBS).logprobs
    # In between, the reference speaks; the backward pass still goes through the policy's adapter.
    model.beside(None)(batch, LOGPROBS)
    trained = {name: p for name, p in policy.named_parameters() if p.requires_grad}
    assert trained and all(".policy." in name for name in trained)
    found = torch.autograd.grad(out.sum(), list(trained.values()))
    assert any(g.abs().max() > 0 for g in found)


def test_adapter_and_merged_weights_come_back(scene, tmp_path):
    model, batch = scene
    add_adapter(model.trunk, "policy", AdapterConfig(rank=3), 0)
    stir(model, "policy")
    policy = model.beside("policy")
    spoken = policy(batch, LOGPROBS).logprobs
    policy.save(tmp_path / "merged")
    torch.testing.assert_close(load_model(tmp_path / "merged")(batch, LOGPROBS).logprobs, spoken, atol=1e-5, rtol=1e-5)
    (tmp_path / "adapter").mkdir()
    save_adapter(model.trunk, "policy", tmp_path / "adapter")
    load_adapter(model.trunk, "again", tmp_path / "adapter")
    assert torch.equal(model.beside("again")(batch, LOGPROBS).logprobs, spoken)


def test_mistakes(scene):
    model, _ = scene
    add_adapter(model.trunk, "policy", AdapterConfig(rank=3), 0)
    with pytest.raises(ValueError, match="already"):
        add_adapter(model.trunk, "policy", AdapterConfig(rank=3), 0)
    with pytest.raises(ValueError, match=r"no linear layer is named q_prjo.*q_proj"):
        add_adapter(model.trunk, "other", AdapterConfig(rank=3, targets=("q_prjo",)), 0)
    with pytest.raises(ValueError, match="rank"):
        AdapterConfig(rank=0)
