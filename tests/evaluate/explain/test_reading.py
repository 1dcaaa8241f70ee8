from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tiny
import torch
from families import llava, qwen2_5_omni, qwen2_vl

from harken.data.batch import collate
from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.evaluate.explain.reading import WORDS, mean_colour, read
from harken.models.load import load_model
from harken.types import Audio, Completion, Image, Message, Prompt, Text


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    return Blobs(tmp_path_factory.mktemp("blobs"))


@pytest.mark.parametrize("row", range(5))
def test_only_the_prompts_own_words_are_words(blobs, row):
    model = tiny.tiny_model()
    prompt = tiny.prompts(blobs)[row]
    reading = read(model, prompt, blobs)
    said = "".join(part.text for part in prompt.messages[0].parts if isinstance(part, Text))
    assert model.processor.tokenizer.decode(reading.encoded.ids[reading.words]) == said
    kinds = {Image: "image", Audio: "audio", Text: WORDS}
    assert set(reading.modalities) == {kinds[type(part)] for part in prompt.messages[0].parts}


def test_blanks_keep_lengths_and_touch_nothing_else(blobs):
    model = tiny.tiny_model()
    reading = read(model, tiny.prompts(blobs)[-1], blobs)
    whole, none = reading.encoded, reading.without(set(reading.modalities))
    assert none.ids.shape == whole.ids.shape
    assert torch.equal(none.ids[~reading.words], whole.ids[~reading.words])
    assert bool((none.ids[reading.words] == model.processor.pad_id).all())
    assert {n: t.shape for n, t in none.media.items()} == {n: t.shape for n, t in whole.media.items()}
    assert torch.equal(none.media["feature_lengths"], whole.media["feature_lengths"])
    again = reading.without(set())
    assert torch.equal(again.ids, whole.ids)
    assert all(torch.equal(again.media[name], tensor) for name, tensor in whole.media.items())


def test_a_blank_picture_is_the_mean_one_and_a_blank_sound_is_silent(blobs):
    model = tiny.tiny_model()
    assert mean_colour(model) == (51, 51, 51)  # the family's pixel_mean, 0.2
    reading = read(model, tiny.prompts(blobs)[-1], blobs)
    pixels = reading.media["image"]["pixel_values"]
    assert pixels[..., :16].unique().tolist() == pytest.approx([0.2])
    assert pixels[..., 16:].unique().tolist() == [0.0]  # the canvas beside the picture stays black
    frames = int(reading.encoded.media["feature_lengths"][0])
    assert reading.media["audio"]["input_features"][0, :, :frames].unique().tolist() == pytest.approx([-1.5])


@pytest.mark.parametrize("family", [llava, qwen2_vl, qwen2_5_omni])
def test_other_families_are_read_by_their_own_processors(blobs, family):
    with TemporaryDirectory() as folder:
        family.save(Path(folder) / "model")
        model = load_model(Path(folder) / "model")
    rng = np.random.default_rng(0)
    picture = Image(blobs.put(encode_png(rng.integers(0, 255, (24, 40, 3), dtype=np.uint8)), "image"))
    sound = Audio(blobs.put(encode_wav((rng.standard_normal(8000) * 0.1).astype(np.float32), 16_000), "audio"))
    parts = [picture, Text("Which number is it?")]
    if "audio" in model.processor.placeholders:
        parts.insert(0, sound)
    reading = read(model, Prompt("p", (Message("user", tuple(parts)),)), blobs)
    assert model.processor.tokenizer.decode(reading.encoded.ids[reading.words]) == "Which number is it?"
    assert reading.modalities == (("image", "audio", WORDS) if len(parts) == 3 else ("image", WORDS))
    blank = reading.without({"image"})
    changed = {name for name, tensor in blank.media.items() if not torch.equal(tensor, reading.encoded.media[name])}
    assert changed == {"pixel_values"}
    assert float(blank.media["pixel_values"].abs().max()) < 0.02  # a mean picture, as this processor centres pixels
    ids = model.processor.encode_completion(Completion("c", "p", "It is 42.", "x"))
    both = [reading.encoded, reading.without(set(reading.modalities))]
    found = model(collate(both, [ids, ids], [0, 1], model.processor.pad_id), frozenset({"logprobs"})).logprobs
    assert found.shape == (2, len(ids))
