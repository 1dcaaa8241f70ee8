"""Examples as batches: order, epochs, parts, changes, and stops at any step."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from harken.data.augment.media import Augmentation
from harken.data.augment.picture import PictureChange
from harken.data.augment.spectrogram import SpectrogramChange
from harken.pipeline.learn import contents_of, learn
from harken.pipeline.settings import SftConfig
from harken.pipeline.verbs import Workplace
from harken.train import loop
from harken.train.adversarial import Attack
from harken.train.examples import Examples, Table
from harken.train.loop import Interrupted
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig
from harken.train.sources import DemonstrationsConfig, parts
from harken.train.stopping import StoppingConfig

sys.path.insert(0, str(Path(__file__).parent))

from small_family import COUNT, predictor, table

PLAIN = OptimizerConfig(rate=1e-2, muon_rate=0.0, warmup=0)
CHANGE = Augmentation(PictureChange(shift=1, cover=2), SpectrogramChange(bands=1, frames=3, gain=0.1))
ATTACK = Attack({"pixel_values": 0.05, "input_features": 0.1}, steps=2, share=0.5)


def source(batch: int = 8, accumulate: int = 1, seed: int = 0, change: Augmentation | None = None) -> Examples:
    model = predictor()
    config = DemonstrationsConfig(20, batch, accumulate)
    return Examples(table(model), config, seed, model.processor.pad_id, change)


def seen(examples: Examples, step: int) -> list[float]:
    """Which examples a step has, by a number of their pictures that no two share."""
    return [round(float(p.sum()), 5) for batch in examples.batches(step) for p in batch.prompts.media["pixel_values"]]


def test_each_epoch_has_every_example_once_in_a_new_order():
    examples = source(batch=8)
    listed = [number for step in range(30) for number in seen(examples, step)]
    epochs = [listed[start : start + COUNT] for start in range(0, 240, COUNT)]
    assert all(len(set(epoch)) == COUNT for epoch in epochs)
    assert {tuple(sorted(epoch)) for epoch in epochs} == {tuple(sorted(epochs[0]))}
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)
    assert seen(source(batch=8), 3) == seen(examples, 3) != seen(source(batch=8, seed=1), 3)


def test_a_batch_larger_than_all_is_all():
    (batch,) = source(batch=500).batches(4)
    assert len(batch.prompts.ids) == COUNT


def test_targets_stand_by_their_examples():
    examples = source(change=CHANGE)
    plain = source()
    for step in range(5):
        (batch,), (same,) = examples.batches(step), plain.batches(step)
        assert all(torch.equal(batch.labels[name], same.labels[name]) for name in ("kind", "age"))
        brightness = same.prompts.media["pixel_values"].flatten(1).mean(1)
        known = same.labels["kind"] >= 0
        assert torch.equal(((brightness - 0.1) / 0.3).long()[known].clamp(max=2), same.labels["kind"][known])
        assert batch.completions.ids.shape == (8, 0)


def test_changes_are_a_function_of_seed_and_step():
    one, two = source(change=CHANGE), source(change=CHANGE)
    two.batches(7)
    for name in ("pixel_values", "input_features"):
        first, again = (s.batches(3)[0].prompts.media[name] for s in (one, two))
        assert torch.equal(first, again)
        assert not torch.equal(first, source().batches(3)[0].prompts.media[name])
    assert one.batches(3)[0].prompts.media_keys == ("",) * 8, "no cache may take them for what they were"


def test_parts_are_as_equal_as_can_be():
    assert [len(part) for part in parts(range(10), 4)] == [3, 3, 3, 1]
    assert [len(part) for part in parts(range(3), 8)] == [1, 1, 1]
    assert [len(b.prompts.ids) for b in source(accumulate=3).batches(0)] == [3, 3, 2]


def test_targets_and_examples_must_be_as_many():
    whole = table(predictor())
    with pytest.raises(ValueError, match="targets of kind have 30 rows, and there are 29 examples"):
        Table(whole.encoding, whole.targets, 29)
    with pytest.raises(ValueError, match="no examples"):
        Examples(whole.part([]), DemonstrationsConfig(), 0, 0)
    some = whole.part([4, 2])
    assert torch.equal(some.batch_of([1], 0).labels["age"], whole.batch_of([2], 0).labels["age"])


def trained(
    folder: Path, accumulate: int = 1, stop_after: int = 99, stopping: StoppingConfig | None = None, **how: object
):
    model, done = predictor(), iter(range(1, 1000))
    options = {"checkpoint_every": 2, "stop": lambda: next(done) == stop_after}
    at = Workplace(folder=folder, stage="learn", options=options)
    config = SftConfig(DemonstrationsConfig(6, 8, accumulate), PLAIN, stopping=stopping or StoppingConfig(), **how)
    return learn(model, table(model), config, at)


def flat(module: nn.Module) -> torch.Tensor:
    return torch.cat([tensor.detach().flatten().float() for tensor in module.state_dict().values()])


@pytest.mark.slow
def test_a_run_stopped_at_any_step_goes_on_to_the_same_bits(tmp_path):
    """With augmentation, an attack, parts and early stopping."""
    often = StoppingConfig(every=2, share=0.2)
    how = {"augment": CHANGE, "attack": ATTACK, "accumulate": 2, "stopping": often}
    whole = flat(trained(tmp_path / "whole", **how))
    for after in range(1, 6):
        with pytest.raises(Interrupted, match=f"after step {after} of 6"):
            trained(tmp_path / str(after), stop_after=after, **how)
        assert torch.equal(flat(trained(tmp_path / str(after), **how)), whole)
    assert not torch.equal(flat(trained(tmp_path / "plain", augment=CHANGE, accumulate=2, stopping=often)), whole)


def test_parts_move_the_weights_as_the_whole_does(tmp_path, monkeypatch):
    """By plain gradient descent: Adam's first steps are a gradient's sign, which rounding alone may turn over."""
    monkeypatch.setattr(loop, "build_optimizers", lambda module, _: [torch.optim.SGD(module.parameters(), lr=0.05)])
    one, three = (trained(tmp_path / str(n), accumulate=n) for n in (1, 3))
    assert (flat(one) - flat(predictor())).abs().max() > 1e-3
    assert (flat(one) - flat(three)).abs().max() < 2e-6
    lines = [read_metrics(tmp_path / str(n) / "metrics.jsonl", "learn") for n in (1, 3)]
    for whole, some in zip(*lines, strict=True):
        assert set(whole) == set(some)
        numbers = {name: value for name, value in whole.items() if name != "stage"}
        assert {name: some[name] for name in numbers} == pytest.approx(numbers, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("what", ["pixel_values", "ids", "kind"])
def test_a_checkpoint_is_of_the_same_examples_alone(what):
    model = predictor()
    given = table(model)
    assert contents_of(given) == contents_of(table(model))
    if what == "kind":
        other = Table(given.encoding, {**given.targets, "kind": given.targets["kind"].flip(0)}, given.count)
    else:
        tensor = given.encoding([COUNT - 1])[0].ids if what == "ids" else given.encoding([3])[0].media[what]
        tensor.view(-1)[-1] += 1
        other = given
    assert contents_of(other) != contents_of(table(model))
