"""Nothing is lost in silence: a medium that the model would not see is an error that says where."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import CORPUS, TINY, prompts, tiny_model

from harken.data.batch import EncodedPrompt, collate
from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.processor import IntegrityError, Processor
from harken.models.fusion.build import build
from harken.models.load import load_model
from harken.models.model import Model
from harken.types import Audio, Completion, Message, Prompt, Text


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


@pytest.fixture(scope="module")
def blobs(tmp_path_factory) -> Blobs:
    return Blobs(tmp_path_factory.mktemp("blobs"))


def test_placeholders_equal_features(model, blobs):
    counts = [model.processor.encode(prompt, blobs).placeholders for prompt in prompts(blobs)]
    assert [c["image"] for c in counts] == [0, 6, 12, 0, 6]
    # 0.43 s are 43 frames, 6 tokens; 0.9 s are 90 frames, 12 tokens.
    assert [c["audio"] for c in counts] == [0, 0, 0, 6, 12]


@pytest.mark.parametrize(("row", "name"), [(1, "pixel_values"), (3, "input_features")])
def test_a_dropped_medium_stops_the_forward(model, blobs, row, name):
    encoded = model.processor.encode(prompts(blobs)[row], blobs)
    media = {key: value for key, value in encoded.media.items() if key != name}
    batch = collate([EncodedPrompt(encoded.ids, {}, media, encoded.placeholders)], [torch.tensor([9])], [0], 0)
    with pytest.raises(ValueError, match=r"\d+ placeholder tokens in the batch, but 0 features"):
        model(batch, frozenset({"logprobs"}))


def test_a_cut_placeholder_stops_the_forward(model, blobs):
    encoded = model.processor.encode(prompts(blobs)[1], blobs)
    cut = EncodedPrompt(torch.cat([encoded.ids[:2], encoded.ids[3:]]), {}, encoded.media, encoded.placeholders)
    with pytest.raises(ValueError, match="5 placeholder tokens in the batch, but 6 features"):
        model(collate([cut], [torch.tensor([9])], [0], 0), frozenset({"logprobs"}))


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_media_that_the_model_does_not_take_are_refused(blobs, modality):
    trunk, hf = build(replace(TINY, encoders={**TINY.encoders, modality: None}), CORPUS, 0)
    deaf = Model(trunk, Processor(hf))
    prompt = prompts(blobs)[1 if modality == "image" else 3]
    with pytest.raises((IntegrityError, ValueError), match=modality):
        deaf.processor.encode(prompt, blobs)


def test_each_modality_changes_the_answer(model, blobs):
    """Blank the medium and the log-probabilities move: it is really read."""
    for row, name in ((1, "pixel_values"), (3, "input_features")):
        encoded = model.processor.encode(prompts(blobs)[row], blobs)
        blank = {key: torch.zeros_like(v) if key == name else v for key, v in encoded.media.items()}
        both = [encoded, EncodedPrompt(encoded.ids, {}, blank, encoded.placeholders)]
        out = model(collate(both, [torch.arange(9, 14)] * 2, [0, 1], 0), frozenset({"logprobs"})).logprobs
        assert (out[0] - out[1]).abs().max() > 1e-4


@pytest.mark.parametrize("token", ["<image>", "<|end|>", "<|assistant|>"])
def test_control_tokens_in_a_text_are_refused(model, blobs, token):
    prompt = Prompt("p", (Message("user", (Text(f"Look: {token}"),)),))
    with pytest.raises(IntegrityError, match="control token"):
        model.processor.encode(prompt, blobs)
    with pytest.raises(IntegrityError, match="control token"):
        model.processor.encode_completion(Completion("c", "p", f"Well {token}", "me"))


def test_a_sound_that_is_too_long_is_refused(model, blobs):
    wave = np.zeros(16_000 * 5, np.float32)
    prompt = Prompt("p", (Message("user", (Audio(blobs.put(encode_wav(wave, 16_000), "audio")),)),))
    with pytest.raises(ValueError, match=r"5\.0 s is longer than the 4 s"):
        model.processor.encode(prompt, blobs)


def test_a_model_comes_back_from_its_folder(model, blobs, tmp_path):
    made = tiny_model(2)
    made.add_heads("value", 1, 7)
    made.add_heads("score", 3, 8, prior=0.5)
    made.save(tmp_path / "m")
    assert {p.name for p in (tmp_path / "m").iterdir()} >= {"model.safetensors", "heads.safetensors", "config.json"}
    back = load_model(tmp_path / "m")
    encoded = [made.processor.encode(prompt, blobs) for prompt in prompts(blobs)]
    again = [back.processor.encode(prompt, blobs) for prompt in prompts(blobs)]
    for a, b in zip(encoded, again, strict=True):
        assert torch.equal(a.ids, b.ids)
        assert all(torch.equal(a.media[name], b.media[name]) for name in a.media)
    needs = frozenset({"logprobs", "values", "scores"})
    completions, rows = [torch.arange(9, 12 + n) for n in range(len(encoded))], range(len(encoded))
    ours = made.eval()(collate(encoded, completions, rows, 0), needs)
    theirs = back(collate(again, completions, rows, 0), needs)
    for name in needs:
        assert torch.equal(getattr(ours, name), getattr(theirs, name))


def test_what_is_no_model_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        load_model("runs/none/sft")
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="safetensors"):
        load_model(tmp_path)


def test_numbers_are_spelt_digit_by_digit_and_any_text_survives(model):
    tokenizer = model.processor.tokenizer
    pieces = tokenizer.tokenize("It is 427.")
    assert sum(any(c.isdigit() for c in piece) for piece in pieces) == 3
    for text in ("It is 427.", "äöü 漢字 🙂", "  two  spaces ", "line\nbreak", ""):
        ids = model.processor.encode_completion(Completion("c", "p", text, "me"))
        assert model.processor.decode(ids) == text
        assert ids[-1] == model.processor.end_id
