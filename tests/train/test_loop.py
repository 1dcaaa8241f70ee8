"""The loop: parts give what the whole gives, averages, held-out measures, and numbers that are none."""

import errno
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from harken.algorithms.objective import Loss
from harken.models.generate import Decoding
from harken.pipeline.recipe import make_algorithm
from harken.pipeline.settings import AlignConfig
from harken.pipeline.verbs import fine_tune_with_rl
from harken.reward.mix import Mix
from harken.train import bad_batch, checkpoint, loop
from harken.train.checkpoint import latest
from harken.train.descent import BadNumber
from harken.train.ema import WeightAverage
from harken.train.loop import Interrupted
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig
from harken.train.rollout import RolloutConfig
from harken.train.stopping import StoppingConfig, Watch, held_out

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

from every_algorithm import GENTLE, Training, fingerprint, tiny_model

UNWATCHED = StoppingConfig()
PARTS = ["sft", "reward", "ppo", "grpo", "rloo", "dpo", "orpo", "kto", "online_dpo"]


def weights(module: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_eight_parts_move_the_weights_as_one_does(name, tmp_path, monkeypatch):
    """By plain gradient descent: Adam's first steps are a gradient's sign, which rounding alone may turn over."""
    monkeypatch.setattr(
        loop, "build_optimizers", lambda module, _: [torch.optim.SGD([p for p in module.parameters()], lr=0.1)]
    )
    begun, one, eight = (
        Training(tmp_path / f"{steps}{n}", steps=steps, accumulate=n, stopping=UNWATCHED)(name)
        for steps, n in ((0, 1), (3, 1), (3, 8))
    )
    assert float((weights(one) - weights(begun)).abs().max()) > 1e-3
    assert float((weights(one) - weights(eight)).abs().max()) < 2e-6
    lines = [read_metrics(tmp_path / folder / "metrics.jsonl", "training") for folder in ("31", "38")]
    for whole, parts in zip(*lines, strict=True):
        assert parts["loss"] == pytest.approx(whole["loss"], abs=1e-5)
        assert parts["gradient_norm"] == pytest.approx(whole["gradient_norm"], rel=1e-4)


def test_an_average_of_weights_by_its_formula():
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    average, expected = WeightAverage(module, 0.8), module.weight.detach().double().clone()
    for _ in range(5):
        with torch.no_grad():
            module.weight.add_(torch.randn(2, 3))
        average.follow(module)
        expected = 0.8 * expected + 0.2 * module.weight.detach().double()
    average.put_into(module)
    assert torch.allclose(module.weight.double(), expected, atol=1e-6)


@pytest.mark.slow
def test_training_leaves_the_average_and_goes_on_exactly(tmp_path):
    smooth = replace(GENTLE, ema=0.7)
    plain = Training(tmp_path / "plain", steps=7, stopping=UNWATCHED)("sft")
    whole = Training(tmp_path / "whole", steps=7, optimizer=smooth, stopping=UNWATCHED)("sft")
    assert not torch.equal(weights(plain), weights(whole))
    training = Training(tmp_path / "stopped", steps=7, optimizer=smooth, stopping=UNWATCHED)
    left = iter([False] * 3 + [True])
    training.at = replace(training.at, options={**training.at.options, "stop": lambda: next(left)})
    with pytest.raises(Interrupted):
        training("sft")
    again = Training(tmp_path / "stopped", steps=7, optimizer=smooth, stopping=UNWATCHED)("sft")
    assert fingerprint(again) == fingerprint(whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sft", "reward", "grpo", "dpo", "kto"])
def test_training_ends_when_the_held_out_gets_no_better_and_leaves_the_best(name, tmp_path):
    """A rate so high that what is held out gets worse at some time."""
    wild = OptimizerConfig(rate=3e-2, muon_rate=0.0, warmup=0)
    often = StoppingConfig(every=1, patience=2, share=0.25)
    model = Training(tmp_path / "a", steps=12, optimizer=wild, stopping=often)(name)
    measures = [line["measure"] for line in read_metrics(tmp_path / "a" / "metrics.jsonl", "training")]
    best = max(range(len(measures)), key=lambda n: measures[n])
    if len(measures) < 12:
        assert len(measures) - 1 - best == 2, "it went on for two measures that were no better"
    total = max(best + 1, 1)
    until = Training(tmp_path / "b", steps=12, optimizer=wild, stopping=replace(often, patience=0))
    left = iter([False] * (total - 1) + [True])
    until.at = replace(until.at, options={**until.at.options, "stop": lambda: next(left)})
    if total < 12:
        with pytest.raises(Interrupted):
            until(name)
        found = latest(tmp_path / "b" / "checkpoints")
        assert found is not None
        kept, _ = checkpoint.read(found)
        mine = dict(model.named_parameters())
        assert kept["model"]
        assert all(torch.equal(mine[key], tensor) for key, tensor in kept["model"].items() if key in mine)


def test_what_is_said_of_one_prompt_is_held_out_together():
    items = [(prompt, n) for prompt in "abcdefgh" for n in range(3)]
    apart, learnt = held_out(items, lambda item: item[0], StoppingConfig(every=1, share=0.25), 0)
    assert {name for name, _ in apart}.isdisjoint({name for name, _ in learnt})
    assert len(apart) == 6
    assert sorted([*apart, *learnt]) == items
    assert held_out(items, lambda item: item[0], StoppingConfig(), 0) == ((), items)


def test_a_watch_counts_measures_that_are_no_better():
    said = iter([1.0, 3.0, 3.0, 2.0])
    watch = Watch(StoppingConfig(every=2, patience=2), lambda: next(said))
    assert [watch.due(done, 7) for done in (1, 2, 3, 7)] == [False, True, False, True]
    assert [watch.look(n)[1] for n in (2, 4, 6)] == [True, True, False]
    assert not watch.ended
    watch.look(7)
    assert watch.ended
    other = Watch(watch.config, None)
    other.restore(json.loads(json.dumps(watch.state())))
    assert (other.best, other.best_step, other.worse) == (3.0, 4, 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_with_its_batch_kept(bad, tmp_path, monkeypatch):
    from harken.algorithms.sft import SFT

    real, calls = SFT.loss, 0

    def spoilt(self, outputs, batch):
        nonlocal calls
        calls += 1
        loss = real(self, outputs, batch)
        return Loss(loss.value * bad, loss.metrics, loss.weight) if calls == 5 else loss

    monkeypatch.setattr(SFT, "loss", spoilt)
    with pytest.raises(BadNumber) as stopped:
        Training(tmp_path, steps=8, stopping=UNWATCHED)("sft")
    folder = tmp_path / "bad-step-00000004"
    assert str(folder) in str(stopped.value)
    assert "training, step 4: the loss is" in str(stopped.value)
    batch, reason = bad_batch.load(folder)
    assert reason == f"the loss is {bad}"
    assert batch.completions.ids.shape[0] == 8
    found = latest(tmp_path / "checkpoints")
    assert found is not None and found.name == "step-00000003"


def test_a_gradient_that_is_no_number_stops_before_it_moves_a_weight(tmp_path, monkeypatch):
    from harken.algorithms.sft import SFT

    class Explode(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * math.nan

    real = SFT.loss

    def spoilt(self, outputs, batch):
        loss = real(self, outputs, batch)
        return Loss(Explode.apply(loss.value), loss.metrics, loss.weight)

    monkeypatch.setattr(SFT, "loss", spoilt)
    with pytest.raises(BadNumber, match="the norm of the gradient is nan"):
        Training(tmp_path, steps=8, stopping=UNWATCHED)("sft")
    assert (tmp_path / "bad-step-00000000" / "batch.safetensors").exists()


def test_a_reward_that_is_no_number_stops_and_names_the_answer(tmp_path, monkeypatch):
    from harken.reward.model import RewardModel

    real = RewardModel.combine
    monkeypatch.setattr(RewardModel, "combine", lambda self, scores: real(self, scores) * math.inf)
    with pytest.raises(FloatingPointError, match=r"rollout 0: the reward 'human' of .* answering 'p"):
        Training(tmp_path, steps=2, stopping=UNWATCHED)("grpo")


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["cut", "flip", "gone", "manifest"])
def test_a_broken_checkpoint_is_passed_over_for_the_one_before(harm, tmp_path):
    whole = Training(tmp_path / "whole", steps=8, stopping=UNWATCHED)("dpo")
    Training(tmp_path / "a", steps=8, stopping=UNWATCHED)("dpo")
    folder = tmp_path / "a" / "checkpoints"
    assert [p.name for p in sorted(folder.iterdir())] == ["step-00000003", "step-00000006"]
    broken = folder / "step-00000006" / ("manifest.json" if harm == "manifest" else "model.safetensors")
    bytes_ = bytearray(broken.read_bytes())
    if harm == "gone":
        broken.unlink()
    elif harm == "flip":
        bytes_[-5] ^= 1
        broken.write_bytes(bytes_)
    else:
        broken.write_bytes(bytes_[: len(bytes_) // 2])
    with pytest.warns(UserWarning, match="step-00000006 is broken"):
        again = Training(tmp_path / "a", steps=8, stopping=UNWATCHED)("dpo")
    assert fingerprint(again) == fingerprint(whole)


@pytest.mark.slow
def test_a_full_disk_is_an_error_in_words_and_the_run_goes_on_from_the_checkpoint_before(tmp_path, monkeypatch):
    whole = Training(tmp_path / "whole", steps=8, stopping=UNWATCHED)("sft")
    real, calls = checkpoint.save_file, 0

    def full(tensors, path):
        nonlocal calls
        calls += 1
        if calls > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match=r"checkpoint of step 6 .*step-00000003 is whole: make room and go on"):
        Training(tmp_path / "a", steps=8, stopping=UNWATCHED)("sft")
    monkeypatch.undo()
    assert [p.name for p in (tmp_path / "a" / "checkpoints").iterdir()] == ["step-00000003"]
    again = Training(tmp_path / "a", steps=8, stopping=UNWATCHED)("sft")
    assert fingerprint(again) == fingerprint(whole)


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_a_kl_that_nobody_measured_is_not_told(tmp_path, weight):
    training = Training(tmp_path, steps=2)
    rollout = RolloutConfig(2, 4, 1, Decoding(4), Mix(0.0, 0.0, {"ended": 1.0}))
    algorithm = make_algorithm({"name": "rloo", "kl": {"initial": weight}})
    config = AlignConfig(rollout, optimizer=GENTLE)
    fine_tune_with_rl(tiny_model(), None, training.prompts, algorithm=algorithm, config=config, at=training.at)
    told = read_metrics(tmp_path / "metrics.jsonl", "training")
    assert told
    assert {"kl" in record for record in told if "reward" in record} == {weight > 0}
