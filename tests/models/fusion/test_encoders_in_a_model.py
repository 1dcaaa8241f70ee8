"""Each encoder in a small model that speaks: the doctor finds it well, and its folder holds all that it needs."""

import io
import shutil
import struct
import zlib

import numpy as np
import pytest
import soundfile
import torch
from towers import AUDIO, IMAGE, save

from harken.data.batch import collate
from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.media.limits import MediaError
from harken.data.processor import Processor
from harken.models.doctor import examine
from harken.models.fusion.build import FamilyConfig, build
from harken.models.load import load_model
from harken.models.model import Model
from harken.types import Audio, Image, Message, Prompt, Text

HEADS = {"answer": {"name": "language", "hidden": 32, "layers": 2, "heads": 2, "intermediate": 48, "vocabulary": 300}}
SMALL = {
    "cnn": {"height": 16, "width": 16, "stem": 6, "widths": (8, 16)},
    "log_mel_cnn": {"widths": (8, 12), "strides": (3, 3), "mels": 12},
    "log_mel_lstm": {"hidden": 16, "mels": 12},
}


def small_model(**encoders) -> Model:
    trunk, processor = build(FamilyConfig(encoders=encoders, heads=HEADS), ["What is this? It is noise."], 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in trunk.named_parameters():
            if parameter.dim() > 1 and ".tower." not in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return Model(trunk.eval(), Processor(processor)).eval()


def encoder_of(name, folder):
    if name in IMAGE or name in AUDIO:
        return "image" if name in IMAGE else "audio", {"name": "pretrained", "path": save(name, folder)}
    return "image" if name == "cnn" else "audio", {"name": name, **SMALL[name]}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, *IMAGE, *AUDIO])
def test_the_doctor_finds_it_well(tmp_path, name):
    modality, said = encoder_of(name, tmp_path / "tower")
    model = small_model(**{modality: said})
    shutil.rmtree(tmp_path / "tower", ignore_errors=True)
    found = examine(model)
    assert [finding for finding in found if finding.verdict != "ok"] == []
    assert len(found) == 8


def ask(model: Model, blobs: Blobs, *media):
    kinds = {"image": Image, "audio": Audio}
    parts = [kinds[kind](blobs.put(data, kind)) for kind, data in media]
    return model.processor.encode(Prompt("p", (Message("user", (*parts, Text("What?"))),)), blobs)


def huge_png(side: int) -> bytes:
    """Black, one bit a pixel, without holding it in memory as pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(side * (1 + (side + 7) // 8)))
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pictures_of_any_size(tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    dot, line = np.full((1, 1, 3), 200, np.uint8), np.full((1, 2000, 3), 200, np.uint8)
    model = small_model(image={"name": "cnn", **SMALL["cnn"]})
    for pixels in (dot, line):
        encoded = ask(model, blobs, ("image", encode_png(pixels)))
        assert encoded.media["pixel_values"].isfinite().all()
        assert encoded.placeholders["image"] == 9
    with pytest.raises(MediaError, match="pixels"):
        blobs.put(huge_png(10_000), "image")
    own = small_model(image={"name": "pretrained", "path": save("clip", tmp_path / "clip")})
    assert ask(own, blobs, ("image", encode_png(dot))).media["pixel_values"].isfinite().all()
    with pytest.raises(ValueError, match="preprocess: family"):
        ask(own, blobs, ("image", encode_png(line)))


def test_sounds_of_any_length(tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    sounds = [encode_wav(np.full(n, 0.1, np.float32), 16_000) for n in (1, 200, 40_000)]
    model = small_model(audio={"name": "log_mel_cnn", **SMALL["log_mel_cnn"], "max_seconds": 2.0})
    whisper = small_model(audio={"name": "pretrained", "path": save("whisper", tmp_path / "whisper")})
    samples = small_model(audio={"name": "pretrained", "path": save("hubert", tmp_path / "hubert"), "max_seconds": 2.0})
    for other in (model, whisper):
        assert ask(other, blobs, ("audio", sounds[0])).placeholders["audio"] == 1
        assert ask(other, blobs, ("audio", sounds[1])).media["input_features"].isfinite().all()
    with pytest.raises(ValueError, match="a sound of 1 samples is too short"):
        ask(samples, blobs, ("audio", sounds[0]))
    for other in (model, whisper, samples):
        with pytest.raises(ValueError, match="longer than the 2 s that the model hears"):
            ask(other, blobs, ("audio", sounds[2]))


def test_a_sound_of_no_numbers_is_refused(tmp_path):
    out = io.BytesIO()
    soundfile.write(out, np.array([0.1, np.nan] * 400), 16_000, format="WAV", subtype="FLOAT")
    blobs = Blobs(tmp_path / "blobs")
    model = small_model(audio={"name": "log_mel_lstm", **SMALL["log_mel_lstm"]})
    with pytest.raises(MediaError, match="number"):
        ask(model, blobs, ("audio", out.getvalue()))


@pytest.mark.parametrize("name", [*SMALL, *IMAGE, *AUDIO])
def test_in_half_the_precision_it_says_nearly_the_same(tmp_path, name):
    modality, said = encoder_of(name, tmp_path / "tower")
    model, blobs = small_model(**{modality: said}), Blobs(tmp_path / "blobs")
    model.save(tmp_path / "m")
    half = load_model(tmp_path / "m", dtype=torch.bfloat16)
    assert {p.dtype for p in half.trunk.parameters()} == {torch.bfloat16}
    picture = encode_png(np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8))
    sound = encode_wav(np.sin(np.arange(4000) / 9).astype(np.float32), 16_000)
    encoded = ask(model, blobs, (modality, picture if modality == "image" else sound))
    batch = collate([encoded], [torch.tensor([40, 41, 42])], [0], model.processor.pad_id)
    full, near = (some(batch, frozenset({"logprobs"})).logprobs.detach().float() for some in (model, half))
    assert (full - near).abs().max() < 0.15


@pytest.mark.parametrize("name", ["clip", "wav2vec2", "whisper"])
def test_a_frozen_tower_stays_frozen_and_the_folder_is_enough(tmp_path, name):
    modality, said = encoder_of(name, tmp_path / "tower")
    model = small_model(**{modality: said})
    model.save(tmp_path / "m")
    shutil.rmtree(tmp_path / "tower")
    back = load_model(tmp_path / "m")
    for some in (model, back):
        learnt = {n: p.requires_grad for n, p in some.trunk.named_parameters()}
        assert not any(learns for n, learns in learnt.items() if ".tower." in n)
        assert all(learns for n, learns in learnt.items() if ".tower." not in n)
        encoder = some.trunk.model.encoders[modality].encoder
        assert not encoder.train().tower.training
    assert all(torch.equal(p, back.trunk.state_dict()[n]) for n, p in model.trunk.state_dict().items())
