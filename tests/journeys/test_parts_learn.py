"""Each way of joining with each kind of encoder, tiny, through SFT, a reward model, DPO, PPO and GRPO.

A model has an encoder of each modality at once, so that a few of them go through all kinds. One a way of joining in
`make test`, so that each encoder is in one of them; all in `make soak`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "fusion"))

import towers
from roads import STAGES, walk
from tiny_text import pretrained_folder

import harken.models.fusion.fuse
from harken.data.blobs import Blobs
from harken.data.media import numbers
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.processor import Processor
from harken.models.doctor import examine
from harken.models.fusion import parts
from harken.models.fusion.build import FamilyConfig, build
from harken.models.load import load_model
from harken.models.model import Model
from harken.types import Audio, Image, Message, Numbers, Prompt, Text

FUSES = parts.names_in(harken.models.fusion.fuse)
KINDS = {modality: parts.names_in(package) for modality, (package, _) in parts.ENCODERS.items()}
ROUNDS = max(len(kinds) for kinds in KINDS.values())
SMALL: dict[str, dict[str, Any]] = {
    "image": {
        "patches": {"hidden": 16, "heads": 2, "height": 8, "width": 16},
        "cnn": {"height": 16, "width": 16, "channels": 3, "stem": 4, "widths": [8, 16], "depth": 1},
        "pretrained": {},
    },
    "audio": {
        "log_mel_transformer": {"hidden": 16, "heads": 2, "max_seconds": 2},
        "log_mel_cnn": {"widths": [8, 16], "strides": [2, 2], "max_seconds": 2},
        "log_mel_lstm": {"hidden": 16, "max_seconds": 2},
        "pretrained": {},
    },
    "numbers": {"mlp": {"channels": 2, "hidden": 16}, "gru": {"channels": 2, "hidden": 16}},
    "text": {
        "words": {"dimensions": 16},
        "gru": {"hidden": 16},
        "lstm": {"hidden": 16},
        "transformer": {"hidden": 16, "heads": 2, "layers": 1},
        "pretrained": {},
    },
}
LANGUAGE = {"name": "language", "hidden": 32, "layers": 2, "heads": 2, "intermediate": 48, "vocabulary": 300}


def parts_of(round_: int, folder: Path) -> dict[str, dict[str, Any]]:
    """An encoder of each modality: the round's, going round where a modality has fewer kinds."""
    made = {}
    for modality, kinds in KINDS.items():
        name = kinds[round_ % len(kinds)]
        said = {"name": name, **SMALL[modality][name]}
        if name == "pretrained":
            if modality == "text":
                pretrained_folder("bert", folder / "bert")
                said["path"] = str(folder / "bert")
            else:
                said["path"] = towers.save("clip" if modality == "image" else "whisper", folder / modality)
        made[modality] = said
    return made


def asked(blobs: Blobs) -> list[Prompt]:
    """Words alone; each medium; all of them, two pictures among them, in two turns."""
    rng = np.random.default_rng(0)

    def picture() -> Image:
        return Image(blobs.put(encode_png(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)), "image"))

    def sound() -> Audio:
        return Audio(blobs.put(encode_wav((rng.standard_normal(6400) * 0.1).astype(np.float32), 16_000), "audio"))

    def series() -> Numbers:
        return Numbers(blobs.put(numbers.encode_csv(rng.standard_normal((5, 2)).astype(np.float32)), "numbers"))

    turns = [
        (Message("user", (Text("Just words."),)),),
        (Message("user", (picture(), Text("Which number?"))),),
        (Message("user", (sound(), series(), Text("Which number?"))),),
        (
            Message("user", (picture(), picture(), Text("Which?"))),
            Message("assistant", (Text("It is 4."),)),
            Message("user", (sound(), series(), Text("And this?"))),
        ),
    ]
    return [Prompt(f"p{n}", messages, references=("It is 42.",)) for n, messages in enumerate(turns)]


def made(fuse: str, round_: int, folder: Path) -> Model:
    """A model of these parts, in `folder/model`."""
    family = FamilyConfig(parts_of(round_, folder), {"name": fuse}, {"answer": LANGUAGE})
    trunk, processor = build(family, ["Which number is it? It is 42."], 0)
    model = Model(trunk.eval(), Processor(processor)).eval()
    model.save(folder / "model")
    return model


def learnt_from(model: Model) -> dict[str, set[str]]:
    """The names of the weights of each encoder with its map to the model's width, and of the way of joining."""
    names = {name for name, p in model.trunk.named_parameters() if p.requires_grad}
    starts = {m: f"model.encoders.{m}." for m in KINDS} | {"fuse": "model.fuse."}
    found = {part: {name for name in names if name.startswith(start)} for part, start in starts.items()}
    return {part: mine for part, mine in found.items() if mine}


@pytest.mark.parametrize(
    ("fuse", "round_"),
    [
        pytest.param(fuse, round_, marks=pytest.mark.slow if (at - round_) % ROUNDS == 0 else pytest.mark.soak)
        for at, fuse in enumerate(FUSES)
        for round_ in range(ROUNDS)
    ],
)
def test_every_combination_learns_by_every_road(fuse, round_, tmp_path):
    torch.set_num_threads(1)
    blobs = Blobs(tmp_path / "blobs")
    model = made(fuse, round_, tmp_path)
    verdicts = {finding.check: finding.verdict for finding in examine(load_model(tmp_path / "model"))}
    assert set(verdicts.values()) == {"ok"}, verdicts
    walked = walk(tmp_path / "model", asked(blobs), blobs, tmp_path)
    assert walked.losses[-1] < walked.losses[0]
    assert set(walked.changed) == set(STAGES)
    assert all(walked.finite.values())
    assert max(walked.differences.values()) < 1e-4
    for part, names in learnt_from(model).items():
        for stage, changed in walked.changed.items():
            assert changed & names, f"{stage} moved nothing of {part} ({json.dumps(parts_of(round_, tmp_path))})"


def test_the_rounds_go_through_every_encoder():
    seen = {(m, kinds[r % len(kinds)]) for m, kinds in KINDS.items() for r in range(ROUNDS)}
    assert seen == {(m, name) for m, kinds in KINDS.items() for name in kinds}
    assert all(set(SMALL[m]) == set(kinds) for m, kinds in KINDS.items())
