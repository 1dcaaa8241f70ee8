"""Text encoders from Hugging Face folders: their states, in a model that needs the folder no more."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_text import CORPUS, FOLDERS, pretrained_folder, said, text_family
from transformers import AutoTokenizer

from harken.data.blobs import Blobs
from harken.data.processor import Processor
from harken.models.fusion.build import build
from harken.models.load import load_model
from harken.models.model import Model

LONGEST = {"bert": 40, "distilbert": 512, "roberta": 62, "clip": 77, "t5": 512}


def whole_states(kind: str, model, ids: torch.Tensor) -> torch.Tensor:
    """What the model itself gives, the way its own documentation says."""
    match kind:
        case "bert":
            return model.bert(ids).last_hidden_state
        case "clip":
            return model.text_model(ids).last_hidden_state
        case "t5":
            return model.encoder(ids).last_hidden_state
        case _:
            return model(ids).last_hidden_state


@pytest.mark.parametrize("kind", sorted(FOLDERS))
def test_its_states_are_the_models_own_and_the_folder_is_needed_no_more(kind, tmp_path):
    source = pretrained_folder(kind, tmp_path / "source")
    reader = AutoTokenizer.from_pretrained(tmp_path / "source")
    trunk, hf = build(text_family({"name": "pretrained", "path": str(tmp_path / "source")}), CORPUS, 0)
    assert trunk.config.encoders["text"]["max_tokens"] == LONGEST[kind]
    model = Model(trunk.eval(), Processor(hf))
    model.save(tmp_path / "ours")
    shutil.rmtree(tmp_path / "source")
    back, blobs = load_model(tmp_path / "ours"), Blobs(tmp_path / "blobs")
    words = "what is this, a few words?"
    for one in (model, back):
        encoded = one.processor.encode(said(words), blobs)
        assert encoded.media["text_ids"].tolist() == [reader(words)["input_ids"]]
        ids, encoder = encoded.media["text_ids"], one.trunk.model.encoders["text"].encoder
        with torch.no_grad():
            expected = whole_states(kind, source, ids)
            torch.testing.assert_close(encoder(ids, torch.tensor([ids.shape[1]])).states, expected, atol=1e-6, rtol=0)
            # Beside a longer text: what is filled up is not looked at, whatever stands there.
            both = torch.cat([ids, torch.full((1, 3), 5)], 1).repeat(2, 1)
            beside = encoder(both, torch.tensor([ids.shape[1], ids.shape[1] + 3])).states
            torch.testing.assert_close(beside[:1, :-3], expected, atol=1e-6, rtol=0)
        assert not any(p.requires_grad for p in encoder.parameters())
        assert all(p.requires_grad for p in one.trunk.model.encoders["text"].project.parameters())


def test_frozen_or_trained(tmp_path):
    pretrained_folder("bert", tmp_path)
    ids, lengths = torch.tensor([[2, 5, 6, 7, 3]]), torch.tensor([5])
    for freeze in (True, False):
        family = text_family({"name": "pretrained", "path": str(tmp_path), "freeze": freeze})
        encoder = build(family, CORPUS, 0)[0].model.encoders["text"].encoder.train()
        first, second = (encoder(ids, lengths).states for _ in range(2))
        # What is frozen has no dropout either.
        assert torch.equal(first, second) == freeze
        assert first.requires_grad != freeze
    second.square().sum().backward()
    assert encoder.model.embeddings.word_embeddings.weight.grad.any(1)[[2, 5, 6, 7, 3]].all()


def test_the_same_seed_gives_the_same_bits_though_a_pooler_is_missing(tmp_path):
    pretrained_folder("bert", tmp_path)
    torch.manual_seed(8)
    before = torch.random.get_rng_state()
    one, other = (build(text_family({"name": "pretrained", "path": str(tmp_path)}), CORPUS, 5)[0] for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_folders_that_are_not_whole_are_refused(tmp_path):
    family = text_family({"name": "pretrained", "path": str(tmp_path / "m")})
    with pytest.raises(ValueError, match=r"text\.path: there is no .*config\.json"):
        build(family, CORPUS, 0)
    pretrained_folder("bert", tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    held = load_file(weights)
    save_file({n: t for n, t in held.items() if "layer.1.output.dense.weight" not in n}, weights, {"format": "pt"})
    with pytest.raises(ValueError, match=r"text.path: .* lacks 1 weights \(encoder.layer.1"):
        build(family, CORPUS, 0)
    weights.write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="is no whole model with a tokenizer"):
        build(family, CORPUS, 0)
    weights.unlink()
    with pytest.raises(ValueError, match="is no whole model with a tokenizer"):
        build(family, CORPUS, 0)
