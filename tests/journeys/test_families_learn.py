"""Every family through SFT, a reward model, DPO, PPO and GRPO, from its folder, pictures and sounds in."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from families.families import FAMILIES

from harken.algorithms.sft import SFT
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.models.encoders import encoder_parameters
from harken.models.generate import Decoding
from harken.models.model import Model
from harken.pipeline.settings import AlignConfig, RewardConfig
from harken.pipeline.verbs import (
    Feedback,
    Workplace,
    fine_tune_with_preferences,
    fine_tune_with_rl,
    load_pretrained_model,
    train_reward_model,
)
from harken.reward.mix import Mix
from harken.reward.model import RewardModelConfig
from harken.train.loop import Fit, fit
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import PreferencesConfig
from harken.train.rollout import RolloutConfig
from harken.train.sources import Demonstrations, DemonstrationsConfig
from harken.types import Answer, Audio, Comparison, Completion, Image, Message, Prompt, Text

FAST = OptimizerConfig(rate=1e-2, muon_rate=0.0, warmup=0)


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


def feedback(asked: list[Prompt]) -> Feedback:
    made = [
        Completion(f"{p.id}{side}", p.id, text, "model")
        for p in asked
        for side, text in (("a", "Yes"), ("b", "It is 7."))
    ]
    said = [
        Answer(f"key-{p.id}", "anna", "simulated", Comparison(p.id, f"{p.id}a", f"{p.id}b", "b" if n else "a"))
        for n, p in enumerate(asked)
    ]
    return Feedback(tuple(asked), tuple(made), tuple(said))


def moved(before: Model, after: Model, encoders: bool) -> None:
    mine, theirs = dict(before.trunk.named_parameters()), dict(after.trunk.named_parameters())
    changed = {name for name in mine if not torch.equal(mine[name], theirs[name])}
    assert changed
    assert all(torch.isfinite(p).all() for p in theirs.values())
    if encoders:
        assert changed & set(encoder_parameters(before.trunk)), "no gradient reached an encoder"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_learns_by_every_road(name, tmp_path):
    torch.set_num_threads(1)
    FAMILIES[name][0](tmp_path / "model")
    blobs, sees = Blobs(tmp_path / "blobs"), bool(FAMILIES[name][1])
    asked = prompts(name, blobs)
    begun, model = (load_pretrained_model(tmp_path / "model", "float32") for _ in range(2))

    def at(stage: str) -> Workplace:
        return Workplace(blobs, 0, tmp_path / stage, stage)

    pairs = [(prompt, prompt.references[0]) for prompt in asked]
    encoded = EncodedPrompts(model.processor, blobs)
    (tmp_path / "sft").mkdir()
    how = Fit(tmp_path / "sft", "sft", "key", 0, FAST, tmp_path / "sft" / "metrics.jsonl")
    fit(model, Demonstrations(pairs, encoded, DemonstrationsConfig(steps=4, batch=3), 0), SFT(), how)
    losses = [line["loss"] for line in read_metrics(how.log, "sft")]
    assert losses[-1] < losses[0]
    moved(begun, model, sees)

    said = feedback(asked)
    config = RewardConfig(RewardModelConfig(heads=2), steps=2, batch=3, optimizer=FAST)
    reward = train_reward_model(begun, said, config=config, at=at("reward"))
    moved(begun, reward.model, sees)

    align = AlignConfig(
        rollout=RolloutConfig(1, 3, 1, Decoding(4), Mix()),
        optimizer=FAST,
        human_only=False,
        preferences=PreferencesConfig(2, 3),
    )
    moved(begun, fine_tune_with_preferences(begun, said, config=align, at=at("dpo")), sees)
    for algorithm in ("ppo", "grpo"):
        after = fine_tune_with_rl(begun, reward, asked, algorithm=algorithm, config=align, at=at(algorithm))
        moved(begun, after, sees)
        first = read_metrics(tmp_path / algorithm / "metrics.jsonl", algorithm)[0]
        assert first["logprob_difference"] < 1e-4
