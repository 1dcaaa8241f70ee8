"""Parts with rates of their own, weight decay, schedules, and half precision."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from harken.data.batch import Outputs
from harken.pipeline.learn import learn
from harken.pipeline.recipe import RecipeError, read_recipe
from harken.pipeline.settings import AlignConfig, SftConfig
from harken.pipeline.verbs import Workplace
from harken.train.examples import Examples
from harken.train.loop import InPrecision, Interrupted
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig, build_optimizers, frozen_parts, part_factors, rate_factor
from harken.train.sources import DemonstrationsConfig
from harken.train.tasks import tasks_of

sys.path.insert(0, str(Path(__file__).parent))

from small_family import predictor, table

PLAIN = OptimizerConfig(rate=1e-2, muon_rate=0.0, warmup=0)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(
            {"image": nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), "audio": nn.Linear(2, 4)}
        )
        self.layers = nn.ModuleList([nn.Linear(4, 4)])
        self.scale = nn.Parameter(torch.zeros(()))


def rates(config: OptimizerConfig) -> dict[str, tuple[float, float, str]]:
    """By weight: its rate, its decay, its optimizer."""
    module = Net()
    names = {id(p): name for name, p in module.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"], type(optimizer).__name__)
        for optimizer in build_optimizers(module, config)
        for group in optimizer.param_groups
        for p in group["params"]
    }


def test_the_longest_part_counts_and_a_part_is_whole_names():
    factors = part_factors(Net(), {"encoders": 0.5, "encoders.image": 0.1, "image.1": 3.0})
    assert factors["encoders.audio.weight"] == 0.5
    assert factors["encoders.image.0.weight"] == 0.1
    assert factors["encoders.image.1.bias"] == 0.1, "encoders.image is longer than image.1"
    assert factors["scale"] == factors["layers.0.weight"] == 1.0


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("encoders.imag", r"no weight is called 'encoders\.imag'; did you mean 'encoders\.image'"),
        ("coder", r"no weight is called 'coder'"),
        ("xyzzy", r"there are encoders\.audio\.bias, .*scale"),
    ],
)
def test_a_part_that_names_no_weight_is_refused(part, words):
    with pytest.raises(ValueError, match=words):
        part_factors(Net(), {part: 1.0})


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_factor_is_a_number_from_zero_up(factor):
    with pytest.raises(ValueError, match=r"optimizer\.parts\.layers is a factor"):
        OptimizerConfig(parts={"layers": factor})


def test_each_weight_has_one_rate_and_vectors_do_not_decay():
    found = rates(
        OptimizerConfig(rate=0.1, muon_rate=0.2, weight_decay=0.3, parts={"encoders.image": 0.5, "layers": 2.0})
    )
    assert set(found) == {name for name, _ in Net().named_parameters()}
    assert found["encoders.image.0.weight"] == (0.05, 0.3, "AdamW")
    assert found["encoders.image.0.bias"] == (0.05, 0.0, "AdamW")
    assert found["encoders.image.1.weight"] == (0.05, 0.0, "AdamW"), "a gain is a vector"
    assert found["layers.0.weight"] == (0.4, 0.3, "Muon")
    assert found["layers.0.bias"] == (0.2, 0.0, "AdamW")
    assert found["scale"] == (0.1, 0.0, "AdamW")


def test_a_part_at_zero_has_no_gradient_and_is_thawed_afterwards():
    module = Net()
    module.encoders["audio"].bias.requires_grad_(False)
    before = {name: p.requires_grad for name, p in module.named_parameters()}
    with pytest.raises(RuntimeError), frozen_parts(module, {"encoders": 0.0}):
        assert {name for name, p in module.named_parameters() if p.requires_grad} == {
            "layers.0.weight",
            "layers.0.bias",
            "scale",
        }
        raise RuntimeError
    assert {name: p.requires_grad for name, p in module.named_parameters()} == before


def test_nothing_left_to_train_is_refused():
    module = Net().requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        build_optimizers(module, PLAIN)


def test_schedules_fall_to_their_floor():
    for decay, floor in (("linear", 0.0), ("cosine", 0.2), ("linear", 1.0)):
        config = OptimizerConfig(warmup=4, decay=decay, floor=floor)
        factors = [rate_factor(step, 24, config) for step in range(25)]
        assert factors[:4] == [0.25, 0.5, 0.75, 1.0] and factors[4] == 1.0
        assert factors[24] == pytest.approx(floor)
        assert factors[4:] == sorted(factors[4:], reverse=True)
    assert [rate_factor(step, 9, OptimizerConfig(warmup=0)) for step in (0, 8)] == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"optimizer\.floor"):
        OptimizerConfig(floor=1.5)


def trained(folder: Path | None = None, steps: int = 8, stop_after: int = 99, **how: object):
    """A small model, trained; and the batch norm variant of it where `norm` says so."""
    norm, optimizer = how.pop("norm", "group"), replace(PLAIN, **how)
    model, done = predictor(norm=norm), iter(range(1, 1000))
    options = {"checkpoint_every": 3, "stop": lambda: next(done) == stop_after}
    at = Workplace(folder=folder, stage="learn", options=options)
    return learn(model, table(model), SftConfig(DemonstrationsConfig(steps, 8), optimizer), at)


def weights(model: nn.Module, part: str = "") -> dict[str, torch.Tensor]:
    return {name: t.clone() for name, t in model.state_dict().items() if part in name and "num_batches" not in name}


def test_rates_of_parts_follow_the_schedule(tmp_path, monkeypatch):
    seen = []
    real = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        seen.append(sorted({group["lr"] for group in self.param_groups}))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    trained(tmp_path, 4, parts={"encoders.image": 0.1}, warmup=2, decay="linear", floor=0.0)
    expected = [[0.1 * rate, rate] for rate in (0.005, 0.01, 0.01, 0.005)]
    assert [pytest.approx(rates) for rates in expected] == seen
    told = [line["learning_rate"] for line in read_metrics(tmp_path / "metrics.jsonl", "learn")]
    assert told == pytest.approx([0.005, 0.01, 0.01, 0.005]), "the log tells the rate that the recipe says"


def test_a_part_at_zero_stays_as_it_is_with_its_batch_norms():
    begun = predictor(norm="batch")
    model = trained(norm="batch", parts={"encoders.image": 0.0})
    before, after = weights(begun, "encoders.image"), weights(model, "encoders.image")
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.requires_grad for p in model.parameters())
    free = weights(trained(norm="batch"), "encoders.image")
    assert not any(torch.equal(before[name], free[name]) for name in before if "running" in name)


@pytest.mark.slow
def test_in_half_precision_weights_stay_whole_and_learn():
    model = trained(steps=40, precision="bfloat16")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    examples, objective = table(model), tasks_of(model.trunk.config.head_parts())
    batch = examples.batch_of(range(examples.count), model.processor.pad_id)
    begun = predictor().eval()
    losses = [float(objective.loss(each(batch, objective.needs), batch).value.detach()) for each in (begun, model)]
    assert losses[1] < losses[0] - 0.5
    assert not torch.equal(next(model.parameters()), next(trained(steps=40).parameters()))


def test_in_half_precision_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    whole = weights(trained(tmp_path / "whole", precision="bfloat16"))
    with pytest.raises(Interrupted):
        trained(tmp_path / "a", stop_after=4, precision="bfloat16")
    again = weights(trained(tmp_path / "a", precision="bfloat16"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_matrices_are_multiplied_in_the_other_type_and_losses_are_not():
    model = predictor()
    examples = table(model)
    batch = Examples(examples, DemonstrationsConfig(1, 8), 0, model.processor.pad_id).batches(0)[0]
    half = InPrecision(model, torch.bfloat16)(batch, frozenset({"heads"})).heads
    assert half["kind.logits"].dtype == torch.bfloat16
    whole = model(batch, frozenset({"heads"})).heads
    assert 0 < float((half["kind.logits"] - whole["kind.logits"]).detach().abs().max()) < 0.1
    objective = tasks_of(model.trunk.config.head_parts())
    assert objective.loss(Outputs(heads=half), batch).value.dtype == torch.float32


def test_half_precision_is_refused_where_log_probabilities_must_be_those_of_sampling(tmp_path):
    """A ratio between what training computes and what sampling computed would be noise from the first step on."""
    with pytest.raises(ValueError, match=r"align\.optimizer\.precision is bfloat16"):
        AlignConfig(optimizer=OptimizerConfig(precision="bfloat16"))
    (tmp_path / "r.yaml").write_text("name: x\n")
    for algorithm in ("ppo", "dpo"):
        with pytest.raises(RecipeError, match=r"align: .*align\.optimizer\.precision.*model\.dtype: bfloat16"):
            read_recipe(tmp_path / "r.yaml", [f"algorithm.name={algorithm}", "align.optimizer.precision=bfloat16"])
    assert read_recipe(tmp_path / "r.yaml", ["sft.optimizer.precision=bfloat16"]).sft.optimizer.precision == "bfloat16"
