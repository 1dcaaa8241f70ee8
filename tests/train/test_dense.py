"""People's reward token by token, through a whole small run."""

import sys
from pathlib import Path

import pytest
import torch

import harken
from harken.algorithms.grpo import GRPO
from harken.data.blobs import Blobs
from harken.models.generate import Decoding
from harken.pipeline.settings import AlignConfig
from harken.pipeline.verbs import Workplace
from harken.reward.mix import Mix
from harken.reward.model import RewardModel, RewardModelConfig
from harken.reward.wording import Wording
from harken.train.rollout import RolloutConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model


def aligned(tmp_path: Path, algorithm, dense: bool, reward: bool = True) -> dict[str, torch.Tensor]:
    blobs = Blobs(tmp_path)
    model = RewardModel(tiny_model(1), Wording(["ada"]), RewardModelConfig(heads=2)).eval() if reward else None
    if model is not None:
        generator = torch.Generator().manual_seed(0)
        for parameter in model.model.heads.parameters():
            parameter.data.normal_(generator=generator)
    mix = Mix(environment={"ended": 1.0}, dense=dense)
    short = RolloutConfig(iterations=2, prompts=4, minibatches=1, decoding=Decoding(6), mix=mix)
    config = AlignConfig(rollout=short, human_only=False)
    made = harken.fine_tune_with_rl(
        tiny_model(), model, prompts(blobs)[:4], algorithm=algorithm, config=config, at=Workplace(blobs)
    )
    return made.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["ppo", "a2c"])
def test_where_it_was_earned_moves_the_policy(algorithm, tmp_path):
    sparse, dense, again = (aligned(tmp_path, algorithm, way) for way in (False, True, True))
    assert any(not torch.equal(sparse[name], dense[name]) for name in sparse)
    assert all(torch.equal(dense[name], again[name]) for name in dense)


def test_without_a_critic_or_a_reward_model_it_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"mix\.dense .* use ppo or a2c"):
        aligned(tmp_path, GRPO(group=2), True)
    with pytest.raises(ValueError, match=r"mix\.dense"):
        aligned(tmp_path, "ppo", True, reward=False)
