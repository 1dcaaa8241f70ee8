"""Voxtral's conversations, as harken writes them and as Mistral's own library does."""

import base64
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from families import voxtral

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.processor import IntegrityError
from harken.models.load import load_model
from harken.types import Audio, Message, Part, Prompt, Text

TURNS = [
    [("user", ["Which is it?"])],
    [("user", [1.3, "Which is it?"])],
    [("user", [0.5, 2.0, "Which is it? The first?"])],
    [("system", ["It is short."]), ("user", ["Which is it?"])],
    [("user", [1.0, "Which?"]), ("assistant", ["It is 4."]), ("user", [3.1, "Is it?"])],
]


@pytest.mark.parametrize("turns", TURNS)
def test_ids_are_those_of_mistral_s_library(turns, tmp_path):
    voxtral.save(tmp_path / "model")
    model, blobs = load_model(tmp_path / "model"), Blobs(tmp_path / "blobs")
    rng = np.random.default_rng(0)
    theirs, messages = [], []
    for role, said in turns:
        parts: list[Part] = []
        content = []
        for part in said:
            if isinstance(part, str):
                parts.append(Text(part))
                content.append({"type": "text", "text": part})
                continue
            wav = encode_wav((rng.standard_normal(int(part * 16_000)) * 0.1).astype(np.float32), 16_000)
            parts.append(Audio(blobs.put(wav, "audio")))
            content.append({"type": "audio", "base64": base64.b64encode(wav).decode()})
        messages.append(Message(role, tuple(parts)))
        theirs.append({"role": role, "content": content if role == "user" else said[0]})
    mine = model.processor.encode(Prompt("p", tuple(messages)), blobs)
    words = model.processor.hf.hf.tokenizer
    assert mine.ids.tolist() == words.apply_chat_template(theirs, tokenize=True, return_dict=True)["input_ids"]


def test_a_long_sound_is_heard_in_pieces(tmp_path):
    voxtral.save(tmp_path / "model")
    reader = load_model(tmp_path / "model").processor.hf
    sound = (np.random.default_rng(0).standard_normal(70_000) * 0.1).astype(np.float32)
    made = reader(text=["<s>[INST][BEGIN_AUDIO][AUDIO][/INST]"], audio=[sound], sampling_rate=16_000)
    assert made["input_features"].shape == (3, voxtral.MELS, 200)
    assert int((made["input_ids"] == 24).sum()) == 75
    whole = reader.feature_extractor(np.pad(sound, (0, 96_000 - 70_000)), sampling_rate=16_000, truncation=False)
    assert np.allclose(np.concatenate(list(made["input_features"]), 1), whole["input_features"][0], atol=1e-6)


def test_control_tokens_are_no_words(tmp_path):
    voxtral.save(tmp_path / "model")
    model, blobs = load_model(tmp_path / "model"), Blobs(tmp_path / "blobs")
    with pytest.raises(IntegrityError, match=r"\[AUDIO\]"):
        model.processor.encode(Prompt("p", (Message("user", (Text("Say [AUDIO] now"),)),)), blobs)
    ids = model.processor.encode_text("It is </s>")
    assert ids[-1] == model.processor.end_id == 2
    written = model.processor.tokenizer.backend.encode("It is 4.", add_special_tokens=False)
    assert model.processor.decode(torch.tensor(written)) == "It is 4."
