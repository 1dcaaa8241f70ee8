"""A reward model on harken's own encoders, which never write: made, trained, saved and read again."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import harken
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.models.fusion.build import FamilyConfig
from harken.models.lora import AdapterConfig
from harken.pipeline.recipe import read_recipe
from harken.pipeline.settings import RewardConfig
from harken.pipeline.verbs import Feedback, Workplace
from harken.reward.model import RewardModel, RewardModelConfig, load_reward_model
from harken.train.optimizers import OptimizerConfig
from harken.types import Answer, Audio, Completion, Image, Message, Prompt, Ranking, Text

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "journeys"))

from tiny_run import run_tiny  # noqa: E402

SMALL = FamilyConfig(
    encoders={
        "image": {
            "height": 8,
            "width": 8,
            "channels": 3,
            "patch_height": 4,
            "patch_width": 4,
            "hidden": 16,
            "heads": 2,
        },
        "audio": {"hidden": 16, "heads": 2, "max_seconds": 1.0},
    },
    heads={"answer": {"hidden": 32, "layers": 1, "heads": 2, "intermediate": 48, "vocabulary": 300}},
)
CONFIG = RewardConfig(
    RewardModelConfig(3, trunk="encoders", family=SMALL),
    steps=80,
    batch=12,
    optimizer=OptimizerConfig(rate=5e-3, muon_rate=5e-3),
)
KINDS = {"high": 0, "low": 1}


def medium(kind: str, sound: bool, blobs: Blobs, rng: np.random.Generator) -> Image | Audio:
    """A tone of a height, or a picture of a colour, with noise in it."""
    if sound:
        tone = np.sin(np.arange(4000) * (0.9, 0.1)[KINDS[kind]]) * rng.uniform(0.2, 0.8) + rng.normal(0, 0.02, 4000)
        return Audio(blobs.put(encode_wav(tone.astype(np.float32), 16_000), "audio"))
    pixels = rng.integers(0, 120, (8, 8, 3), dtype=np.uint8)
    pixels[..., 2 * KINDS[kind]] += 130
    return Image(blobs.put(encode_png(pixels), "image"))


def named(blobs: Blobs, sound: bool, count: int) -> tuple[Feedback, dict[str, Prompt]]:
    """Media of which one of two names was chosen; in equal numbers, so that only the medium tells which."""
    rng = np.random.default_rng(0)
    asked, made, said = {}, [], []
    for n in range(count):
        kind = list(KINDS)[n % 2]
        parts = (medium(kind, sound, blobs, rng), Text("Which?"))
        prompt = Prompt(f"p{n}", (Message("user", parts),), facts={"kind": kind})
        asked[prompt.id] = prompt
        made += [Completion(f"p{n} {name}", prompt.id, name, "label") for name in KINDS]
        rest = tuple(f"p{n} {name}" for name in KINDS if name != kind)
        said.append(Answer(f"a{n}", "ada", "simulated", Ranking(prompt.id, ((f"p{n} {kind}",),), rest)))
    return Feedback(tuple(asked.values()), tuple(made), tuple(said)), asked


def trained(feedback: Feedback, blobs: Blobs, seed: int = 0) -> RewardModel:
    return harken.train_reward_model(None, feedback, config=CONFIG, at=Workplace(blobs, seed, stage="reward"))


@pytest.mark.slow
@pytest.mark.parametrize("sound", [False, True])
def test_it_learns_from_choices_and_a_swapped_medium_moves_its_scores(sound, tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    feedback, _ = named(blobs, sound, 40)
    reward = trained(feedback, blobs)
    rng, right = np.random.default_rng(1), 0
    for kind in list(KINDS) * 5:
        prompt = Prompt("new", (Message("user", (medium(kind, sound, blobs, rng), Text("Which?"))),))
        asked = [Completion(name, "new", name, "label") for name in KINDS]
        encoded = EncodedPrompts(reward.model.processor, blobs)
        told = reward.summary(asked, {"new": prompt}, encoded)
        right += list(KINDS)[int(told.mean.argmax())] == kind
    assert right >= 9


@pytest.mark.slow
def test_it_is_saved_in_safetensors_and_json_and_the_same_seed_gives_the_same_bits(tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    feedback, asked = named(blobs, False, 12)
    reward = trained(feedback, blobs)
    encoded = EncodedPrompts(reward.model.processor, blobs)
    scores = reward.score_completions(feedback.completions, asked, encoded)
    assert float(scores.mean()) == pytest.approx(0.0, abs=1e-4)
    assert torch.equal(trained(feedback, blobs).score_completions(feedback.completions, asked, encoded), scores)
    assert not torch.equal(trained(feedback, blobs, 1).score_completions(feedback.completions, asked, encoded), scores)
    folder = tmp_path / "reward"
    reward.save(folder)
    assert {path.suffix for path in folder.iterdir()} <= {".safetensors", ".json", ".jinja"}
    assert json.loads((folder / "reward.json").read_text())["trunk"] == "encoders"
    back = load_reward_model(folder)
    assert back.config == CONFIG.model
    read = EncodedPrompts(back.model.processor, blobs)
    assert torch.equal(back.score_completions(feedback.completions, asked, read), scores)


@pytest.mark.slow
def test_it_goes_the_whole_round_by_a_recipe(tmp_path):
    run_tiny(
        tmp_path,
        "reward.model.trunk=encoders",
        "reward.model.family.heads.answer.hidden=24",
        "reward.model.family.heads.answer.heads=2",
        "reward.model.family.heads.answer.layers=1",
        "reward.model.prior=0.5",
        "align.human_only=false",
    )
    reward = load_reward_model(tmp_path / "reward")
    assert reward.model.width == 24
    assert harken.load_pretrained_model(tmp_path / "aligned").width == 32
    found = json.loads((tmp_path / "evaluation.json").read_text())
    for when in ("before", "after"):
        assert found[f"reward_spread_{when}"] > 0
        assert found[f"reward_worst_{when}"] < found[f"reward_{when}"]


def test_what_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"reward\.model\.trunk: encoders is one that has learnt nothing"):
        RewardModelConfig(head="linear", trunk="encoders")
    with pytest.raises(ValueError, match=r"leave reward\.adapter out"):
        RewardConfig(RewardModelConfig(trunk="encoders"), adapter=AdapterConfig())
    with pytest.raises(ValueError, match=r"reward\.model\.trunk"):
        read_recipe(ROOT / "recipes" / "demo.yaml", ["reward.model.trunk=encoder"])
    blobs = Blobs(tmp_path / "blobs")
    with pytest.raises(ValueError, match=r"say reward\.model\.trunk: encoders"):
        harken.train_reward_model(None, named(blobs, False, 2)[0], at=Workplace(blobs, stage="reward"))
