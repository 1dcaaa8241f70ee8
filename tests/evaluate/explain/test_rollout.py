import tiny
import torch

from harken.data.blobs import Blobs
from harken.evaluate.explain.reading import read
from harken.evaluate.explain.rollout import prompt_attention, rollout
from harken.evaluate.explain.target import Likelihood, batch_of
from harken.types import Completion


def test_the_product_of_layers_with_half_of_what_was_there():
    generator = torch.Generator().manual_seed(0)
    layers = [torch.rand(2, 4, 4, generator=generator).tril() for _ in range(3)]
    layers = [layer / layer.sum(-1, keepdim=True) for layer in layers]
    plain = torch.eye(4, dtype=torch.float64)
    for layer in layers:
        mixed = sum(layer[h].double() for h in range(2)) / 2
        plain = (mixed + torch.eye(4, dtype=torch.float64)) / 2 @ plain
    found = rollout(layers)
    torch.testing.assert_close(found, plain)
    torch.testing.assert_close(found.sum(1), torch.ones(4, dtype=torch.float64))


def test_the_share_of_each_token_and_the_model_is_left_as_it_was(tmp_path):
    blobs, model = Blobs(tmp_path), tiny.tiny_model()
    target, reading = Likelihood(model), read(model, tiny.prompts(blobs)[-1], blobs)
    ids = model.processor.encode_completion(Completion("c", "p", "It is 42.", "x"))
    batch = batch_of(model, [reading.encoded], ids)
    before, how = target(batch), model.trunk.get_decoder().config._attn_implementation
    found = prompt_attention(target, reading, ids)
    assert found is not None
    assert found.shape == reading.encoded.ids.shape
    assert bool((found >= 0).all())
    assert 0.2 < float(found.sum()) <= 1
    assert model.trunk.get_decoder().config._attn_implementation == how
    assert torch.equal(target(batch), before)
    assert not any(m._forward_hooks for m in model.trunk.get_decoder().modules())


def test_a_model_without_whole_attention_tells_none(tmp_path, monkeypatch):
    blobs, model = Blobs(tmp_path), tiny.tiny_model()
    reading = read(model, tiny.prompts(blobs)[0], blobs)
    monkeypatch.setattr(model.trunk.config.text_config, "num_hidden_layers", 5)
    ids = model.processor.encode_completion(Completion("c", "p", "7", "x"))
    assert prompt_attention(Likelihood(model), reading, ids) is None
