"""Towers of folders: states that are the tower's own, prepared its way or the family's, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import load_file, save_file
from towers import AUDIO, IMAGE, SIDE, save
from transformers import (
    AutoImageProcessor,
    AutoModel,
    ConvNextConfig,
    ConvNextImageProcessor,
    ConvNextModel,
    SpeechT5FeatureExtractor,
)

from harken.models.fusion import parts
from harken.models.fusion.build import FamilyConfig, build
from harken.models.fusion.encoders.audio.pretrained import Pretrained as Ears
from harken.models.fusion.encoders.image.pretrained import Pretrained as Eyes

HEADS = {"answer": {"name": "language", "hidden": 32, "layers": 1, "heads": 2, "intermediate": 48, "vocabulary": 280}}


def built(modality, **said):
    model, processor = build(FamilyConfig({modality: {"name": "pretrained", **said}}, heads=HEADS), ["a"], 0)
    return model.model.encoders[modality].encoder, processor


def picture(height=20, width=30):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", IMAGE)
@pytest.mark.parametrize("layer", [-1, -2, 1])
@torch.no_grad()
def test_states_of_a_picture_are_the_towers(tmp_path, name, layer):
    path = save(name, tmp_path)
    encoder, processor = built("image", path=path, layer=layer)
    pixels = processor(text="<image>", images=[picture()])["pixel_values"]
    own = AutoImageProcessor.from_pretrained(path)
    assert torch.equal(pixels, own(images=[Pillow.fromarray(picture())], return_tensors="pt")["pixel_values"])
    whole = AutoModel.from_pretrained(path)
    theirs = whole.vision_model if name in ("clip", "siglip") else whole
    out = theirs(pixel_values=pixels, output_hidden_states=True)
    expected = out.last_hidden_state if layer == -1 else out.hidden_states[layer]
    stream = encoder(pixels)
    assert torch.equal(stream.states, expected)
    assert stream.states.shape[1:] == (encoder.settings.tokens, encoder.width)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_the_familys_canvas_has_the_towers_size_mean_and_spread(tmp_path, name):
    encoder, processor = built("image", path=save(name, tmp_path), preprocess="family")
    settings, own = encoder.settings, AutoImageProcessor.from_pretrained(tmp_path)
    assert (settings.height, settings.width) == (SIDE, SIDE)
    assert settings.pixel_mean == tuple(own.image_mean) and settings.pixel_std == tuple(own.image_std)
    canvas = processor(text="<image>", images=[picture()])["pixel_values"]
    assert canvas.shape == (1, 3, SIDE, SIDE) and canvas.min() == 0 and canvas.max() <= 1
    assert not canvas[:, :, 11:].any()  # 20 x 30 put whole on 16 x 16; the tower's own way would cut the sides off
    mean, spread = (torch.tensor(v)[:, None, None] for v in (own.image_mean, own.image_std))
    seen = encoder.tower((canvas - mean) / spread).last_hidden_state
    assert torch.allclose(encoder(canvas).states, seen, atol=1e-6)


def test_a_square_of_the_right_size_is_prepared_alike_both_ways(tmp_path):
    path = save("clip", tmp_path)
    square = picture(SIDE, SIDE)
    one, own = built("image", path=path)
    other, family = built("image", path=path, preprocess="family")
    states = [e(p(text="<image>", images=[square])["pixel_values"]).states for e, p in ((one, own), (other, family))]
    assert (states[0] - states[1]).abs().max() < 1e-5


def test_a_map_of_cells_is_read_row_by_row(tmp_path):
    model = ConvNextModel(ConvNextConfig(hidden_sizes=[4, 6, 8, 10], depths=[1, 1, 1, 1], patch_size=2)).eval()
    model.save_pretrained(tmp_path)
    ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=1.0).save_pretrained(tmp_path)
    encoder, _ = built("image", path=str(tmp_path), preprocess="family", height=48, width=32)
    pixels = torch.rand(2, 3, 48, 32)
    cells = model(encoder.settings.normalised(pixels)).last_hidden_state
    assert cells.shape == (2, 10, 3, 2)
    assert torch.equal(encoder(pixels).states[:, 3], cells[:, :, 1, 1])


def test_a_tower_that_is_not_frozen_learns_and_a_frozen_one_does_not(tmp_path):
    path = save("vit", tmp_path)
    for freeze in (True, False):
        encoder, _ = built("image", path=path, freeze=freeze)
        assert {p.requires_grad for p in encoder.parameters()} == {not freeze}
        states = encoder.train()(torch.rand(2, 3, SIDE, SIDE)).states
        assert states.requires_grad is not freeze
        assert encoder.tower.training is not freeze


@pytest.mark.parametrize("name", AUDIO)
def test_padding_changes_nothing_for_a_tower(tmp_path, name):
    encoder, processor = built("audio", path=save(name, tmp_path), max_seconds=2.0)
    rng = np.random.default_rng(0)
    sounds = [(rng.standard_normal(n) * 0.1).astype(np.float32) for n in (5000, 16_000, 5000, 30_001)]
    made = processor(text="<audio>" * 4, audio=sounds)
    encoder = encoder.double()
    media, lengths = made["input_features"].double(), made["feature_lengths"]
    together = encoder(media, lengths)
    assert together.real.sum(1).tolist() == [encoder.settings.tokens(int(n)) for n in lengths]
    for n, sound in enumerate(sounds):
        alone = processor(text="<audio>", audio=[sound])
        states = encoder(alone["input_features"].double(), alone["feature_lengths"]).states
        count = int(together.real[n].sum())
        assert (states[0, :count] - together.states[n, :count]).abs().max() < 1e-9
        assert not together.states[n, count:].any()


@pytest.mark.slow
@torch.no_grad()
def test_states_of_a_sound_are_the_towers(tmp_path):
    sound = (np.random.default_rng(0).standard_normal(9000) * 0.1).astype(np.float32)
    for name in AUDIO:
        path = save(name, tmp_path / name)
        encoder, processor = built("audio", path=path)
        whole = AutoModel.from_pretrained(path).eval()
        own = processor.feature_extractor(sound, sampling_rate=16_000, return_tensors="pt")
        theirs = (whole.get_encoder() if name == "whisper" else whole)(next(iter(own.values()))).last_hidden_state
        made = processor(text="<audio>", audio=[sound])
        stream = encoder(made["input_features"], made["feature_lengths"])
        count = int(stream.real.sum())
        # 57 frames, two of them a state; or 80 x 4 samples a state, without those that fill no kernel.
        assert count == (29 if name == "whisper" else 28) == len(made["input_ids"][0])
        assert (stream.states[0, :count] - theirs[0, :count]).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "encoders.image.path: it is empty"),
        ({"path": "/nowhere"}, "encoders.image.path: /nowhere holds no config.json"),
        ({"path": "clip", "layer": 7}, "layer 7 is none of the tower's 3 hidden states"),
        ({"path": "clip", "height": 32}, "height are the tower's own"),
        ({"path": "clip", "height": 32, "preprocess": "family"}, "does not take pictures of 32 x 16"),
        ({"path": "clip", "channels": 1}, "with 1 channels"),
        ({"path": "clip", "pixel_mean": [0.5, 0.5], "preprocess": "family"}, "image.pixel_mean is one number"),
        ({"path": "bare"}, "no image processor"),
        ({"path": "broken"}, "encoders.image.path"),
    ],
)
def test_image_towers_that_cannot_be_are_refused(tmp_path, said, words):
    name = said.get("path", "/nowhere")
    if name != "/nowhere":
        folder = Path(save("clip", tmp_path / name))
        if name == "bare":
            (folder / "preprocessor_config.json").unlink()
        if name == "broken":
            (folder / "config.json").write_text("{")
        said = {**said, "path": str(folder)}
    with pytest.raises(parts.PartError, match=words):
        parts.encoder("image", {"name": "pretrained", **said})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"max_seconds": 3.0}, "max_seconds is at most the 2 that"),
        ({"rate": 8000}, "rate is 16000 in the model"),
        ({"mels": 80}, "mels is 10 in the model"),
        ({"layer": 9}, "layer 9 is none"),
        ({"other": True}, "hears with a SpeechT5FeatureExtractor"),
        ({"bare": True}, "no feature extractor"),
    ],
)
def test_audio_towers_that_cannot_be_are_refused(tmp_path, said, words):
    folder = Path(save("whisper", tmp_path))
    if said.pop("other", False):
        SpeechT5FeatureExtractor().save_pretrained(folder)
    if said.pop("bare", False):
        (folder / "preprocessor_config.json").unlink()
    with pytest.raises(parts.PartError, match=words):
        parts.encoder("audio", {"name": "pretrained", "path": str(folder), **said})


def test_weights_that_are_not_there_are_refused(tmp_path):
    path = Path(save("vit", tmp_path))
    weights = load_file(path / "model.safetensors")
    name = next(n for n in weights if n.endswith("patch_embeddings.projection.weight"))
    save_file({n: t for n, t in weights.items() if n != name}, path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks embeddings.patch_embeddings.projection.weight; they would be random"):
        built("image", path=str(path))
    (path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="no weights in safetensors"):
        built("image", path=str(path))
    shutil.rmtree(path)


def test_settings_that_were_read_need_no_folder_again(tmp_path):
    """A model's configuration holds them as JSON."""
    for kind, modality, name in ((Eyes, "image", "siglip"), (Ears, "audio", "wav2vec2")):
        read = kind(path=save(name, tmp_path))
        plain = json.loads(json.dumps(parts.plain(read)))
        shutil.rmtree(tmp_path)
        again = parts.encoder(modality, plain)
        assert again == read
        assert isinstance(again, kind)
