"""What members say together, and where it is told."""

import json
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import harken
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.generate import Decoding
from harken.pipeline.settings import AlignConfig
from harken.pipeline.verbs import Workplace
from harken.reward.combining import Summary
from harken.reward.mix import Mix
from harken.reward.model import RewardModel, RewardModelConfig
from harken.reward.wording import Wording
from harken.train.rollout import RolloutConfig
from harken.types import Completion

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.integers(1, 6).flatmap(lambda k: st.lists(st.lists(NUMBERS, min_size=k, max_size=k), min_size=1, max_size=5)))
def test_a_summary_is_mean_standard_deviation_and_lowest(rows):
    found = Summary.of(torch.tensor(rows, dtype=torch.float64))
    for n, row in enumerate(rows):
        mean = sum(row) / len(row)
        assert float(found.mean[n]) == pytest.approx(mean, abs=1e-9)
        assert float(found.spread[n]) == pytest.approx((sum((x - mean) ** 2 for x in row) / len(row)) ** 0.5, abs=1e-6)
        assert float(found.worst[n]) == min(row)
        assert float(found.worst[n]) <= float(found.mean[n]) + 1e-9


def reward_model(heads: int) -> RewardModel:
    made = RewardModel(tiny_model(1), Wording(["ada"]), RewardModelConfig(heads)).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in made.model.heads.parameters():
        parameter.data.normal_(generator=generator)
    return made


def test_a_reward_model_tells_it_of_records(tmp_path):
    asked, made = prompts(Blobs(tmp_path))[:2], reward_model(3)
    listed = [Completion(str(n), asked[n % 2].id, text, "p") for n, text in enumerate(("It is 42.", "No.", "Seven"))]
    encoded = EncodedPrompts(made.model.processor, Blobs(tmp_path))
    by_id = {prompt.id: prompt for prompt in asked}
    scores, told = made.score_completions(listed, by_id, encoded), made.summary(listed, by_id, encoded)
    assert torch.equal(told.mean, scores.mean(1)) and torch.equal(told.worst, scores.min(1).values)
    assert float(told.spread.min()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("dense", [False, True])
def test_rollouts_log_how_far_members_disagree(dense, tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    mix = Mix(environment={}, dense=dense)
    rollout = RolloutConfig(iterations=2, prompts=4, minibatches=1, decoding=Decoding(6), mix=mix)
    config, at = AlignConfig(rollout=rollout, human_only=False), Workplace(blobs, folder=tmp_path / "run")
    harken.fine_tune_with_rl(tiny_model(), reward_model(3), prompts(blobs)[:4], config=config, at=at)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    kept = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    rolled = [line for line in lines if "reward/human" in line]
    assert len(rolled) == 2 and len(kept) == 8
    for n, line in enumerate(rolled):
        mine = kept[4 * n : 4 * n + 4]
        for name in ("spread", "worst"):
            assert line[f"human_{name}"] == pytest.approx(sum(s[f"human_{name}"] for s in mine) / 4, abs=1e-5)
        assert line["human_spread"] > 0 and line["human_worst"] < line["reward/human"]
    assert all(s["human_worst"] < s["human_mean"] == pytest.approx(s["human"], abs=1e-6) for s in kept)
