"""Every family through SFT, a reward model, DPO, PPO and GRPO, from its folder, pictures and sounds in."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from families.families import FAMILIES
from roads import STAGES, walk

from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.models.encoders import encoder_parameters
from harken.models.load import load_model
from harken.types import Audio, Image, Message, Prompt, Text


def prompts(name: str, blobs: Blobs) -> list[Prompt]:
    """Words alone, each medium, and a conversation with media in its first and last turn."""
    _, takes, _ = FAMILIES[name]
    rng = np.random.default_rng(0)

    def media() -> list[Image | Audio]:
        out: list[Image | Audio] = []
        if "image" in takes:
            out.append(Image(blobs.put(encode_png(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)), "image")))
        if "audio" in takes:
            wave = (rng.standard_normal(6400) * 0.1).astype(np.float32)
            out.append(Audio(blobs.put(encode_wav(wave, 16_000), "audio")))
        return out

    turns = [
        (Message("user", (Text("Just words."),)),),
        (Message("user", (*media(), Text("Which number?"))),),
        (
            Message("user", (*media(), Text("Which?"))),
            Message("assistant", (Text("It is 4."),)),
            Message("user", (*media(), Text("And this?"))),
        ),
    ]
    return [Prompt(f"p{n}", messages, references=("It is 42.",)) for n, messages in enumerate(turns)]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_learns_by_every_road(name, tmp_path):
    torch.set_num_threads(1)
    FAMILIES[name][0](tmp_path / "model")
    blobs = Blobs(tmp_path / "blobs")
    walked = walk(tmp_path / "model", prompts(name, blobs), blobs, tmp_path)
    assert walked.losses[-1] < walked.losses[0]
    assert all(walked.finite.values())
    assert set(walked.changed) == set(STAGES)
    encoders = set(encoder_parameters(load_model(tmp_path / "model").trunk)) if FAMILIES[name][1] else set()
    for stage, changed in walked.changed.items():
        assert changed, stage
        assert not encoders or changed & encoders, f"no gradient reached an encoder in {stage}"
    assert max(walked.differences.values()) < 1e-4
