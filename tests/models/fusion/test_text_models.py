"""Models that read a prompt's words with an encoder of text too: from the processor to the doctor."""

import numpy as np
import pytest
import torch
from tiny import tiny_model
from tiny_text import CORPUS, OWN, PICTURES, pretrained_folder, said, text_family, text_model

from harken.data.batch import collate, collate_prompts
from harken.data.blobs import Blobs
from harken.data.media.image import encode_png
from harken.data.processor import IntegrityError, Processor
from harken.models.doctor import examine
from harken.models.encoders import freeze_encoders
from harken.models.features import Features
from harken.models.fusion.build import FamilyConfig, build
from harken.models.fusion.model import FusionForPrediction
from harken.models.fusion.processor import FusionProcessor
from harken.models.fusion.tokenizer import CHAT_TEMPLATE
from harken.models.load import load_model
from harken.types import Image, Message, Prompt, Text

LOGPROBS = frozenset({"logprobs"})


@pytest.fixture
def blobs(tmp_path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def picture(blobs: Blobs, seed: int = 0) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 16, 3), dtype=np.uint8)
    return Image(blobs.put(encode_png(pixels), "image"))


@pytest.mark.parametrize("fuse", ["joined", "concatenation"])
@pytest.mark.parametrize("name", [*sorted(OWN), "pretrained"])
def test_the_doctor_finds_nothing(name, fuse, tmp_path):
    text = OWN.get(name, {"name": "pretrained", "path": str(tmp_path)})
    if name == "pretrained":
        pretrained_folder("bert", tmp_path)
    found = {finding.check: finding.verdict for finding in examine(text_model(text_family(text, fuse)))}
    assert set(found.values()) == {"ok"}
    assert found.keys() >= {"text_ids is read", "text placeholders", "shared prefix", "template and loss mask"}


def test_the_doctor_finds_nothing_where_there_are_pictures_too():
    found = examine(text_model(text_family(OWN["gru"], image=PICTURES)))
    assert {finding.verdict for finding in found} == {"ok"}
    assert {"pixel_values is read", "text_ids is read"} <= {finding.check for finding in found}


def test_a_model_that_does_not_read_its_words_is_found():
    model = text_model(text_family(OWN["transformer"]))
    with torch.no_grad():
        model.trunk.model.encoders["text"].project.weight.zero_()
    assert {f.check: f.verdict for f in examine(model)}["text_ids is read"] == "failed"


@pytest.mark.parametrize("fuse", ["joined", "gated"])
def test_the_words_of_all_turns_are_one_medium_at_the_beginning(fuse, blobs):
    processor = text_model(text_family(OWN["words"], fuse, image=PICTURES)).processor
    turns = (
        Message("system", (Text("The voice"),)),
        Message("user", (Text("Which number"), picture(blobs), Text("is it?"))),
        Message("assistant", (Text("It is 7."),)),
        Message("user", (picture(blobs, 1),)),
    )
    encoded = processor.encode(Prompt("p", turns), blobs)
    word = {n: w for w, n in processor.hf._own_reader.get_vocab().items()}
    read = [word[n] for n in encoded.media["text_ids"][0].tolist()]
    assert read == ["the", "voice", "which", "number", "is", "it", "?", "it", "is", "7", "."]
    assert encoded.media["text_lengths"].tolist() == [11]
    count = 11 if fuse == "joined" else 1
    assert encoded.placeholders["text"] == count
    assert (encoded.ids == processor.placeholders["text"]).nonzero().flatten().tolist() == list(range(count))
    assert processor.decode(encoded.ids[count:]).startswith("The voiceWhich number")


def test_a_prompt_without_words_has_none(blobs):
    model = text_model(text_family(OWN["gru"], image=PICTURES))
    silent = Prompt("p", (Message("user", (picture(blobs), Text(" \n"))),))
    encoded = model.processor.encode(silent, blobs)
    assert encoded.placeholders == {"image": 6, "text": 0}
    assert set(encoded.media) == {"pixel_values"}
    assert not model.processor.render(silent.messages).startswith("<text>")
    # Beside a prompt that has some it says what it says alone.
    spoken = model.processor.encode(said("Which number?"), blobs)
    ids = torch.arange(9, 13)
    together = model(collate([spoken, encoded], [ids] * 2, [0, 1], 0), LOGPROBS).logprobs
    alone = model(collate([encoded], [ids], [0], 0), LOGPROBS).logprobs
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=0)


def test_what_it_cannot_read_is_refused(blobs):
    model = text_model(text_family({**OWN["words"], "max_tokens": 4}))
    with pytest.raises(
        ValueError, match=r"a text of 5 tokens is longer than the 4 .* raise model\.encoders\.text\.max"
    ):
        model.processor.encode(said("Which number", "is it?"), blobs)
    assert model.processor.encode(said("Which number", "is?"), blobs).media["text_lengths"].tolist() == [4]
    with pytest.raises(ValueError, match="finds no words"):
        model.processor.encode(said("\ufeff"), blobs)
    with pytest.raises(IntegrityError, match="control token '<text>'"):
        model.processor.encode(said("Look: <text>"), blobs)
    model.processor.hf.chat_template = CHAT_TEMPLATE
    with pytest.raises(IntegrityError, match=r"has 1 text part\(s\), but its encoding has 0"):
        model.processor.encode(said("Which"), blobs)


def test_the_policy_cannot_write_the_placeholder():
    model = text_model(text_family(OWN["lstm"]))
    assert model.suppressed == (model.processor.tokenizer.convert_tokens_to_ids("<text>"),)


@pytest.mark.parametrize("name", ["gru", "words"])
def test_a_model_comes_back_from_its_folder(name, tmp_path, blobs):
    frozen = {"train": False} if name == "words" else {}
    model = text_model(text_family({**OWN[name], **frozen}, "concatenation", image=PICTURES))
    model.save(tmp_path / "m")
    assert (tmp_path / "m" / "text_tokenizer").is_dir() == (name == "words")
    back = load_model(tmp_path / "m")
    prompts = [said("What is this? naïve 漢字 42"), Prompt("q", (Message("user", (picture(blobs), Text("7?"))),))]
    ours, theirs = ([one.processor.encode(prompt, blobs) for prompt in prompts] for one in (model, back))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a.ids, b.ids)
        assert a.media_key == b.media_key
        assert a.placeholders == b.placeholders
    for (path, one), other in zip(model.trunk.named_parameters(), back.trunk.parameters(), strict=True):
        assert one.requires_grad == other.requires_grad == ("table" not in path or name != "words")
    ids = [torch.arange(9, 13)] * 2
    assert torch.equal(
        model(collate(ours, ids, [0, 1], 0), LOGPROBS).logprobs,
        back(collate(theirs, ids, [0, 1], 0), LOGPROBS).logprobs,
    )


@pytest.mark.parametrize("layout", ["shared", "plain"])
def test_features_of_words_are_kept(layout, tmp_path, blobs, monkeypatch):
    model = text_model(text_family(OWN["transformer"], image=PICTURES))
    model.layout = layout
    freeze_encoders(model.trunk)
    encoded = [model.processor.encode(prompt, blobs) for prompt in (said("Which number?"), said("What is it, then?"))]
    rows = [0, 0, 1, 1, 1]
    batch = collate(encoded, [torch.arange(9, 13 + n) for n in range(len(rows))], rows, 0)
    plain = model(batch, LOGPROBS).logprobs
    model.features = Features(model.trunk, tmp_path / "features")
    assert model.features.fill(model.trunk, encoded, 0) == 2
    monkeypatch.setattr(model.trunk.model.encoders["text"], "forward", None)
    torch.testing.assert_close(model(batch, LOGPROBS).logprobs, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fuse", ["joined", "concatenation"])
def test_words_and_pictures_without_a_language_head(fuse, tmp_path, blobs):
    family = FamilyConfig(
        {"image": PICTURES, "text": OWN["words"]},
        {"name": fuse, "width": 16},
        {"kind": {"name": "classify", "classes": 3}, "together": {"name": "contrast"}},
    )
    trunk, hf = build(family, CORPUS, 0)
    assert isinstance(trunk.eval(), FusionForPrediction)
    turns = [(picture(blobs), Text("Which number is it?")), (Text("What is this?"),), (picture(blobs, 1),)]
    processor = Processor(hf)
    encoded = [processor.encode(Prompt(f"p{n}", (Message("user", t),)), blobs) for n, t in enumerate(turns)]
    prompts = collate_prompts(encoded, processor.pad_id)
    out = trunk(input_ids=prompts.ids, **prompts.media)
    assert out["kind.logits"].shape == (3, 3)
    assert out["together.there"].tolist() == [True, False, False]
    # Other words, another answer; and what is said goes through the text encoder alone.
    other = {**prompts.media, "text_ids": (prompts.media["text_ids"] + 1) % 5}
    moved = (trunk(input_ids=prompts.ids, **other)["kind.logits"] - out["kind.logits"]).abs().amax(1)
    assert (moved[:2] > 1e-6).all()
    assert moved[2] < 1e-6
    out["kind.logits"].sum().backward()
    assert trunk.model.encoders["text"].encoder.table.weight.grad.any()
    trunk.save_pretrained(tmp_path / "m")
    hf.save_pretrained(tmp_path / "m")
    back, again = FusionForPrediction.from_pretrained(tmp_path / "m"), FusionProcessor.from_pretrained(tmp_path / "m")
    torch.testing.assert_close(back.eval()(input_ids=prompts.ids, **prompts.media), dict(out), atol=1e-6, rtol=0)
    assert (
        Processor(again).encode(said("What is it?"), blobs).media_key
        == processor.encode(said("What is it?"), blobs).media_key
    )


def test_a_model_without_an_encoder_of_text_is_as_it_was(blobs):
    model = tiny_model()
    assert set(model.processor.placeholders) == {"image", "audio"}
    assert model.processor.hf.chat_template == CHAT_TEMPLATE
    assert "<text>" not in model.processor.tokenizer.get_vocab()
    encoded = model.processor.encode(said("Just <text> words."), blobs)
    assert not encoded.media
    assert set(encoded.placeholders) == {"image", "audio"}
