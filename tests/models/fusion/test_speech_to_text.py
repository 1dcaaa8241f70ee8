"""Sounds as words, written down by a speech model that is kept with the model that reads them."""

import copy
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from towers import save, whisper_config
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.processor import IntegrityError, Processor
from harken.data.transcriber import Transcriber
from harken.models.fusion.build import FamilyConfig, build
from harken.models.fusion.tokenizer import make_tokenizer
from harken.models.load import load_model
from harken.models.model import Model
from harken.models.speech_to_text import LAST, SpeechToText, pieces_of
from harken.pipeline.roles import as_configured
from harken.pipeline.settings import ModelConfig
from harken.types import Audio, Image, Message, Prompt, Text

HEADS = {"answer": {"name": "language", "hidden": 32, "layers": 1, "heads": 2, "intermediate": 48, "vocabulary": 300}}
DEAF = {"image": {"name": "patches", "hidden": 16, "heads": 2}}


class Scripted(Transcriber):
    """Says what it is told to."""

    def __init__(self, *said):
        self.said = list(said)

    def words(self, sound):
        return self.said.pop(0)

    def save(self, folder):
        folder.mkdir()
        (folder / "scripted").touch()


def sound(blobs, seconds=0.4, seed=0):
    wave = np.random.default_rng(seed).standard_normal(int(16_000 * seconds)) * 0.2 / (1 + seed)
    return Audio(blobs.put(encode_wav(wave.astype(np.float32), 16_000), "audio"))


def deaf_model(encoders=None, transcriber=None):
    trunk, processor = build(FamilyConfig(encoders=encoders or DEAF, heads=HEADS), ["It is seven."], 0)
    return Model(trunk.eval(), Processor(processor, transcriber)).eval()


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A Whisper that writes a digit for whatever it hears; which one depends on the sound."""
    folder = tmp_path_factory.mktemp("speech")
    tokenizer = make_tokenizer(["1 2 3"], 300)
    torch.manual_seed(1)
    config = whisper_config()
    config.update({"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0})
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.add_(torch.randn_like(parameter) * 0.8)
    digits = [tokenizer.convert_tokens_to_ids(letter) for letter in "0123456789"]
    others = sorted(set(range(len(tokenizer))) - {*digits, tokenizer.eos_token_id})
    model.generation_config.update(
        suppress_tokens=others, begin_suppress_tokens=[tokenizer.eos_token_id], eos_token_id=tokenizer.eos_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=10, chunk_length=2).save_pretrained(folder)
    return folder


def test_words_take_the_place_of_a_sound(tmp_path):
    blobs = Blobs(tmp_path)
    model = deaf_model(transcriber=Scripted("seven", "eight"))
    said, other = sound(blobs), sound(blobs, seed=1)
    prompt = Prompt("p", (Message("user", (Text("Hear:"), said, Text("Agree?"))), Message("user", (other,))))
    same = Prompt("p", (Message("user", (Text("Hear:\nseven\nAgree?"),)), Message("user", (Text("eight"),))))
    heard, read = (model.processor.encode(p, blobs) for p in (prompt, same))
    assert torch.equal(heard.ids, read.ids)
    assert not heard.media
    assert model.processor.takes == ("image", "audio")
    assert model.suppressed == (model.processor.placeholders["image"],)


def test_what_would_be_lost_or_read_as_a_control_is_refused(tmp_path):
    blobs = Blobs(tmp_path)
    prompt = Prompt("p", (Message("user", (sound(blobs),)),))
    with pytest.raises(IntegrityError, match="this model takes none"):
        deaf_model().processor.encode(prompt, blobs)
    with pytest.raises(IntegrityError, match="no words were heard"):
        deaf_model(transcriber=Scripted("")).processor.encode(prompt, blobs)
    with pytest.raises(IntegrityError, match="control token '<image>'"):
        deaf_model(transcriber=Scripted("an <image> here")).processor.encode(prompt, blobs)
    with pytest.raises(ValueError, match="this one takes audio"):
        deaf_model({"audio": {"hidden": 16, "heads": 2}}, Scripted())


def test_a_speech_model_is_kept_with_the_model(tmp_path, speech):
    folder, blobs = tmp_path / "speech", Blobs(tmp_path / "blobs")
    shutil.copytree(speech, folder)
    config = ModelConfig(encoders=DEAF, heads=HEADS, speech_to_text=str(folder))
    model = as_configured(deaf_model(), config)
    sounds = [sound(blobs, 0.2 + 0.4 * seed, seed) for seed in range(4)]
    prompts = [Prompt("p", (Message("user", (heard, Text("Say it."))),)) for heard in sounds]
    encoded = [model.processor.encode(prompt, blobs) for prompt in prompts]
    assert len({tuple(e.ids.tolist()) for e in encoded}) > 1
    model.save(tmp_path / "m")
    shutil.rmtree(folder)
    back = load_model(tmp_path / "m")
    assert as_configured(back, config) is back  # it has its own; the recipe's folder is not read again
    again = copy.deepcopy(back)
    assert again.processor.transcriber is back.processor.transcriber
    for one, prompt in zip(encoded, prompts, strict=True):
        assert torch.equal(one.ids, again.processor.encode(prompt, blobs).ids)
    back.save(tmp_path / "m")
    assert load_model(tmp_path / "m").processor.transcriber is not None


def test_a_sound_is_heard_once_and_a_long_one_in_pieces(tmp_path, speech):
    blobs, ears = Blobs(tmp_path), SpeechToText(speech)
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(41_000) * 0.1).astype(np.float32)
    samples[30_000:32_000] = 0.0
    whole = encode_wav(samples, 16_000)
    first, second = pieces_of(samples, 32_000, 16_000)
    assert 30_000 < len(first) < 32_000
    pieces = [ears.words(encode_wav(piece, 16_000)) for piece in (first, second)]
    assert all(pieces) and all(set(piece) <= set("0123456789") for piece in pieces)
    assert ears.words(whole) == " ".join(pieces)
    ears._of = None
    assert ears.words(whole) == " ".join(pieces)
    assert ears.words(blobs.read(blobs.put(whole, "audio"))) == " ".join(pieces)


def test_what_is_no_speech_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        SpeechToText(tmp_path)
    with pytest.raises(ValueError, match="holds a clip, which writes no text from speech"):
        SpeechToText(save("clip", tmp_path))
    with pytest.raises(ValueError, match="but the model has an encoder of audio"):
        ModelConfig(heads=HEADS, speech_to_text=str(tmp_path))
    with pytest.raises(ValueError, match="no language head to read words"):
        ModelConfig(encoders=DEAF, heads={"kind": {"name": "regress"}}, speech_to_text=str(tmp_path))
    assert ModelConfig(path="m", speech_to_text=str(tmp_path)).speech_to_text


def test_pictures_beside_words_stay_pictures(tmp_path):
    blobs = Blobs(tmp_path)
    picture = Image(blobs.put(encode_png(np.full((8, 24, 3), 90, np.uint8)), "image"))
    model = deaf_model(transcriber=Scripted("seven"))
    encoded = model.processor.encode(Prompt("p", (Message("user", (picture, sound(blobs))),)), blobs)
    assert encoded.placeholders == {"image": 3}
    assert set(encoded.media) == {"pixel_values"}


@given(st.integers(0, 400), st.integers(1, 90), st.integers(10, 200), st.integers(0, 9))
def test_pieces_are_the_sound_and_none_is_too_long(length, most, rate, seed):
    samples = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    pieces = pieces_of(samples, most, rate)
    assert np.array_equal(np.concatenate(pieces), samples)
    assert all(len(piece) <= most for piece in pieces)
    assert all(len(piece) >= max(1, most - max(1, int(LAST * most))) for piece in pieces[:-1])


def test_a_sound_is_cut_between_words():
    wave = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    wave[890:940] = 0.001  # a pause, near the end of the first piece
    assert 890 <= len(pieces_of(wave, 1000, 400)[0]) <= 940


def test_a_speech_model_that_is_not_whole_is_refused_and_pickles_are_not_copied(tmp_path, speech):
    folder = tmp_path / "speech"
    shutil.copytree(speech, folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / ".git").mkdir()
    SpeechToText(folder).save(tmp_path / "copy")
    assert not {"pytorch_model.bin", ".git"} & {path.name for path in (tmp_path / "copy").iterdir()}
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "decoder.layers" in name)
    save_file({k: v for k, v in weights.items() if k != name}, folder / "model.safetensors", {"format": "pt"})
    heard = encode_wav(np.zeros(4000, np.float32), 16_000)
    with pytest.raises(ValueError, match="lacks 1 weights"):
        SpeechToText(folder).words(heard)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="no whole weights in safetensors"):
        SpeechToText(folder).words(heard)
