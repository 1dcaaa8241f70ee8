"""The whole loop with low-rank adapters, frozen encoders and recomputation: one copy of the weights a stage."""

import json

import pytest
from safetensors import safe_open
from tiny_run import run_tiny

from harken.models.load import load_model
from harken.models.lora import adapters_of
from harken.reward.model import load_reward_model

ADAPTED = [
    "sft.adapter.rank=4",
    "reward.adapter.rank=4",
    "align.adapter.rank=4",
    "model.freeze_encoders=true",
    "model.recompute=true",
    "align.human_only=false",
]


@pytest.mark.slow
def test_the_loop_on_one_copy_of_the_weights(tmp_path):
    run_tiny(tmp_path, *ADAPTED)
    names = {}
    for folder in ("sft", "reward", "aligned"):
        with safe_open(tmp_path / folder / "model.safetensors", "pt") as opened:
            names[folder] = set(opened.keys())
        assert not any("lora" in name or "base_layer" in name for name in names[folder])
    assert names["sft"] == names["reward"] == names["aligned"]
    # The encoders' outputs were computed once, for the prompts and their media.
    files = list((tmp_path / "features").rglob("*.safetensors"))
    assert files
    # The reward model stands on the supervised model's weights, through its own adapter ...
    base = load_model(tmp_path / "sft")
    reward = load_reward_model(tmp_path / "reward", beside=base)
    assert reward.model.trunk is base.trunk
    assert adapters_of(base.trunk) == {reward.model.adapter}
    # ... and alone, where there are no weights beside it.
    alone = load_reward_model(tmp_path / "reward")
    assert alone.model.trunk is not base.trunk and not adapters_of(alone.model.trunk)
    stranger = load_model(tmp_path / "aligned")
    assert load_reward_model(tmp_path / "reward", beside=stranger).model.trunk is not stranger.trunk
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    first = [line for line in lines if line["stage"].endswith("aligned") and line["step"] % 4 == 0]
    assert first and all(line["logprob_difference"] < 1e-4 for line in first)
