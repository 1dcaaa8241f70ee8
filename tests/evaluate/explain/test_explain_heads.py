"""Heads, explained: contributions that add up, heat that falls on what decided, and what a head is blind to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from tiny_text import FOLDERS, pretrained_folder

from harken.data.blobs import Blobs
from harken.data.media.image import encode_png
from harken.evaluate.explain.explanation import analyse, explain
from harken.evaluate.explain.heads import said_by_heads
from harken.evaluate.explain.reading import TEXT_IDS, WORDS, mean_colour, read
from harken.evaluate.explain.target import Budget
from harken.models.fusion.build import FamilyConfig
from harken.models.fusion.reading import added_ids
from harken.models.fusion.stream import Stream
from harken.models.predictor import Predictor
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.settings import SftConfig
from harken.train.examples import Table
from harken.train.optimizers import OptimizerConfig
from harken.train.sources import DemonstrationsConfig
from harken.types import Completion, Image, Message, Prompt, Text

QUICK = Budget(first=16, most=128)
ENCODERS = {
    "image": {"name": "cnn", "height": 8, "width": 24, "stem": 4, "widths": (8,), "depth": 0, "pool": "mean"},
    "audio": {"name": "log_mel_lstm", "hidden": 8, "mels": 8},
    "text": {"name": "gru", "hidden": 12},
}
HEADS = {
    "kind": {"name": "classify", "classes": ("cold", "warm", "hot")},
    "where": {"name": "regress", "outputs": 2},
    "near": {"name": "contrast", "between": ("image", "audio")},
    "fits": {"name": "match", "swapped": "image"},
}
TELLING = ("fire", "ice")


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    return Blobs(tmp_path_factory.mktemp("blobs"))


def predictor(text: str = "gru", **heads: object) -> Predictor:
    encoders = {**ENCODERS, "text": {"name": text} if text == "words" else ENCODERS["text"]}
    made = new_predictor(FamilyConfig(encoders, {"name": "gated", "width": 8}, heads or HEADS), tiny.CORPUS, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.trunk.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return made.eval()


def completion(prompt: Prompt) -> Completion:
    return Completion("c", prompt.id, "", "the heads")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["gru", "words"])
def test_contributions_add_up_for_each_number_of_each_head(blobs, text):
    model, prompt = predictor(text), tiny.prompts(blobs)[-1]
    said = said_by_heads(model, prompt, blobs)
    assert [(one.name, one.which) for one in said][1:] == [("where", 0), ("where", 1), ("near", 0), ("fits", 0)]
    assert said[0].words in HEADS["kind"]["classes"]
    for one in said:
        found = analyse(one, prompt, completion(prompt), blobs, QUICK)
        assert set(found.shapley) == {"image", "audio", WORDS}
        assert sum(found.shapley.values()) == pytest.approx(found.value - found.blank, abs=1e-5)
        assert any(abs(value) > 1e-4 for value in found.shapley.values()), one.name
        assert len(found.heat[WORDS].heat[WORDS]) == found.reading.encoded.media[TEXT_IDS].shape[1]
        for heat in found.heat.values():
            assert heat.gap <= max(0.02 * abs(heat.change), 2e-3), one.name
        without = {name: found.values[frozenset(found.shapley) - {name}] for name in found.shapley}
        for name, heat in found.heat.items():
            assert heat.change == pytest.approx(found.value - without[name], abs=1e-4), (one.name, name)


def test_the_numbers_are_those_that_predict_says(blobs):
    model, prompt = predictor(), tiny.prompts(blobs)[-1]
    encoded = [model.processor.encode(prompt, blobs)]
    plain = {name: value[0] for name, value in model.predict(encoded).items()}
    kind, first, second, near, fits = (
        analyse(one, prompt, completion(prompt), blobs, Budget(8, 8)).value
        for one in said_by_heads(model, prompt, blobs)
    )
    share = plain["kind.logits"].double().softmax(0).max()
    assert kind == pytest.approx(float((share / (1 - share)).log()), abs=1e-4)
    assert [first, second] == pytest.approx(plain["where.values"].tolist(), abs=1e-5)
    assert near == pytest.approx(float(plain["near.one"] @ plain["near.other"]), abs=1e-5)
    assert fits == pytest.approx(float(plain["fits.matched"]), abs=1e-5)


def test_a_blind_model_gives_the_blind_modality_nothing(blobs):
    model, prompt = predictor(), tiny.prompts(blobs)[-1]
    model.trunk.model.encoders["image"].encoder.register_forward_hook(
        lambda module, inputs, out: Stream(torch.ones_like(out.states), out.real)
    )
    found = analyse(said_by_heads(model, prompt, blobs)[0], prompt, completion(prompt), blobs, QUICK)
    assert abs(found.shapley["image"]) < 1e-6
    assert all(float(heat.abs().max()) == 0 for heat in found.heat["image"].heat.values())
    assert abs(found.shapley[WORDS]) > 1e-4


def test_a_contrast_says_nothing_where_one_of_its_two_is_absent(blobs):
    seen = tiny.prompts(blobs)[1]
    assert "near" not in {one.name for one in said_by_heads(predictor(), seen, blobs)}


def test_a_model_without_a_text_encoder_reads_no_words(blobs):
    encoders = {"image": ENCODERS["image"]}
    model = new_predictor(FamilyConfig(encoders, {"name": "gated", "width": 8}, {"kind": HEADS["kind"]}), ["a"], 0)
    assert read(model, tiny.prompts(blobs)[1], blobs).modalities == ("image",)
    with pytest.raises(ValueError, match="neither words nor media"):
        bare = replace(tiny.prompts(blobs)[1], messages=(Message("user", (Text("Just words."),)),))
        analyse(said_by_heads(model, bare, blobs)[0], bare, completion(bare), blobs, QUICK)


def planted(blobs: Blobs) -> list[tuple[Prompt, int]]:
    """One word among others, and one half of a picture, say the class."""
    chance, around, out = np.random.default_rng(0), ("the", "a", "some", "very", "old", "new"), []
    for n in range(48):
        kind, words = n % 2, list(chance.choice(around, 4))
        words.insert(int(chance.integers(5)), TELLING[kind])
        pixels = chance.integers(0, 90, (8, 24, 3), dtype=np.uint8)
        prompt = Message("user", (Image(blobs.put(encode_png(pixels), "image")), Text(" ".join(words))))
        out.append((Prompt(f"p{n}", (prompt,)), kind))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("text", ["words", "gru"])
def test_the_heat_falls_on_the_word_that_decided(blobs, text):
    """Planted: one word of five says the class, the picture nothing."""
    prompts = planted(blobs)
    encoders = {"image": ENCODERS["image"], "text": {"name": "words"} if text == "words" else ENCODERS["text"]}
    corpus = [part.text for prompt, _ in prompts for part in prompt.messages[0].parts if isinstance(part, Text)]
    heads = {"kind": {"name": "classify", "classes": TELLING}}
    model = new_predictor(FamilyConfig(encoders, {"name": "gated", "width": 8}, heads), corpus, 0)
    each = [model.processor.encode(prompt, blobs) for prompt, _ in prompts]
    table = Table(lambda numbers: [each[i] for i in numbers], {"kind": torch.tensor([k for _, k in prompts])}, 48)
    rate = OptimizerConfig(rate=0.02, muon_rate=0.0, warmup=0)
    learn(model, table, SftConfig(DemonstrationsConfig(60, batch=24), rate))
    decided = 0
    for prompt, kind in prompts[:8]:
        (one,) = said_by_heads(model, prompt, blobs)
        assert one.words == TELLING[kind]
        shown = explain([one], prompt, completion(prompt), blobs, QUICK)
        (view,) = shown.views
        assert view.title == f"Why kind is {TELLING[kind]}"
        words = "".join(word.text for word in view.words)
        warm: dict[str, float] = {}
        at = 0
        for word in words.split():  # a piece may be a part of a word
            warm[word] = 0.0
        for piece in view.words:
            whole = words[: at + len(piece.text)].split()[-1]
            warm[next(w for w in warm if w.startswith(whole))] += piece.heat
            at += len(piece.text)
        shares = {share.name: share.value for share in view.shares}
        assert abs(shares["words"]) > 5 * abs(shares["picture"])
        if shares["words"] > 1:  # of one of the two classes a blank text may be as sure
            decided += 1
            assert max(warm, key=lambda name: warm[name]) == TELLING[kind], warm
    assert decided >= 4


WRITTEN = "Unhappiness in Łódź, 東京 don't 42"


@pytest.mark.parametrize("name", ["gru", "words", *FOLDERS])
def test_words_are_shown_as_they_were_written_and_added_ids_are_none_of_them(blobs, tmp_path, name):
    if name in FOLDERS:
        pretrained_folder(name, tmp_path)
    text = {"name": "pretrained", "path": str(tmp_path)} if name in FOLDERS else {"name": name}
    heads = {"kind": {"name": "classify", "classes": 2}}
    model = new_predictor(FamilyConfig({"text": text}, {"name": "gated", "width": 8}, heads), tiny.CORPUS, 0)
    prompt = Prompt("p", (Message("user", (Text(WRITTEN),)),))
    (one,) = said_by_heads(model, prompt, blobs)
    found = analyse(one, prompt, completion(prompt), blobs, Budget(8, 8))
    shown = explain([one], prompt, completion(prompt), blobs, Budget(8, 8)).views[0]
    assert "".join(word.text for word in shown.words) == WRITTEN
    ids, reader = found.reading.encoded.media[TEXT_IDS][0], model.processor.hf.reader
    added = [n for n, i in enumerate(ids.tolist()) if i in added_ids(reader)]
    assert bool(added) == (name in FOLDERS)
    assert not set(added) & set(found.reading.heard_at.tolist())
    blank = found.reading.without({WORDS}).media[TEXT_IDS][0]
    assert torch.equal(blank[added], ids[added]), "what the tokenizer adds stays"
    assert bool((blank[found.reading.heard_at] == found.reading.unread).all())
    strange = [note for note in shown.notes if "does not know" in note]
    assert bool(strange) == (reader.unk_token_id in ids[found.reading.heard_at].tolist())
    if name == "words":
        assert "Unhappiness, in, Łódź" in strange[0] and "so is a blank" in strange[0]


def test_a_mean_picture_in_grey_may_be_a_list_of_one(blobs):
    grey = {**ENCODERS["image"], "pixel_mean": (0.2,), "pixel_std": (0.3,)}
    model = new_predictor(
        FamilyConfig({"image": grey}, {"name": "gated", "width": 8}, {"kind": HEADS["kind"]}), ["a"], 0
    )
    assert mean_colour(model) == (51, 51, 51)


def test_a_match_says_nothing_of_a_prompt_with_one_of_the_two(blobs):
    encoders = {"image": ENCODERS["image"], "audio": ENCODERS["audio"]}
    heads = {"fits": {"name": "match", "swapped": "image"}}
    model = new_predictor(FamilyConfig(encoders, {"name": "gated", "width": 8}, heads), ["a"], 0)
    assert said_by_heads(model, tiny.prompts(blobs)[1], blobs) == []
    (one,) = said_by_heads(model, tiny.prompts(blobs)[-1], blobs)
    share = float(one.words.rpartition("(")[2].removesuffix(")"))
    assert one.words.startswith("a match" if share > 0.5 else "no match")


def test_a_mean_picture_in_colour_has_a_number_for_each_channel(blobs):
    colours = {**ENCODERS["image"], "channels": 3, "pixel_mean": (0.2, 0.4, 0.6)}
    model = new_predictor(
        FamilyConfig({"image": colours}, {"name": "gated", "width": 8}, {"kind": HEADS["kind"]}), ["a"], 0
    )
    assert mean_colour(model) == (51, 102, 153)
    assert read(model, tiny.prompts(blobs)[1], blobs).modalities == ("image",)


def test_heads_beside_a_language_head_are_explained_too(blobs, tmp_path: Path):
    family = FamilyConfig(
        {"image": ENCODERS["image"]},
        {"name": "joined"},
        {
            "answer": {"name": "language", "hidden": 32, "layers": 2, "heads": 2, "intermediate": 48},
            "kind": HEADS["kind"],
        },
    )
    model, prompt = tiny.tiny_model(0, family), tiny.prompts(blobs)[1]
    (one,) = said_by_heads(model, prompt, blobs)
    found = analyse(one, prompt, completion(prompt), blobs, QUICK)
    assert set(found.shapley) == {"image", WORDS}
    assert sum(found.shapley.values()) == pytest.approx(found.value - found.blank, abs=1e-5)
    assert found.attention is not None
    assert said_by_heads(tiny.tiny_model(), prompt, blobs) == []
