import json

import pytest
import torch
from torch import nn

from harken.train import checkpoint
from harken.train.metrics_log import MetricsLog, read_metrics
from harken.train.optimizers import OptimizerConfig, build_optimizers, rate_factor


class Net(nn.Module):
    """Has a matrix of a layer (Muon's) and others (AdamW's)."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6)])
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.layers[0](x)))


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def steps(model: nn.Module, optimizers: list[torch.optim.Optimizer], count: range) -> None:
    for i in count:
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(i))
        loss = model(x).square().mean()
        grads = torch.autograd.grad(loss, list(model.parameters()))
        for parameter, grad in zip(model.parameters(), grads, strict=True):
            parameter.grad = grad
        for optimizer in optimizers:
            optimizer.step()


def test_optimizer_states_survive_to_the_bit(tmp_path):
    config = OptimizerConfig()
    whole = net()
    optimizers = build_optimizers(whole, config)
    assert [type(o).__name__ for o in optimizers] == ["Muon", "AdamW"]
    steps(whole, optimizers, range(6))

    half = net()
    optimizers = build_optimizers(half, config)
    steps(half, optimizers, range(3))
    tensors = {"model": half.state_dict()}
    for i, optimizer in enumerate(optimizers):
        tensors[f"optimizer{i}"], _ = checkpoint.flatten_optimizer(optimizer)
    written = checkpoint.write(tmp_path, 3, tensors, {"key": "k"})

    read, state = checkpoint.read(written)
    assert state == {"step": 3, "key": "k"}
    resumed = net()
    optimizers = build_optimizers(resumed, config)
    resumed.load_state_dict(read["model"])
    for i, optimizer in enumerate(optimizers):
        checkpoint.restore_optimizer(optimizer, read[f"optimizer{i}"])
    steps(resumed, optimizers, range(3, 6))
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_half_written_checkpoint_is_never_read(tmp_path):
    checkpoint.write(tmp_path, 10, {"model": {"w": torch.ones(2)}}, {})
    (tmp_path / "writing-00000020").mkdir()
    (tmp_path / "writing-00000020" / "state.json").write_text("{")
    assert checkpoint.latest(tmp_path) == tmp_path / "step-00000010"
    checkpoint.write(tmp_path, 20, {"model": {"w": torch.zeros(2)}}, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000020"]
    checkpoint.write(tmp_path, 30, {"model": {"w": torch.zeros(2)}}, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000020", "step-00000030"]
    assert checkpoint.latest(tmp_path / "none") is None


def test_checkpoints_hold_no_pickle(tmp_path):
    written = checkpoint.write(tmp_path, 1, {"model": {"w": torch.ones(2)}}, {"key": "k"})
    assert {path.suffix for path in written.iterdir()} == {".safetensors", ".json"}


def test_every_parameter_has_one_optimizer():
    model = net()
    held = [id(p) for o in build_optimizers(model, OptimizerConfig()) for g in o.param_groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    plain = build_optimizers(model, OptimizerConfig(muon_rate=0.0))
    assert [type(o).__name__ for o in plain] == ["AdamW"]


def test_rates():
    config = OptimizerConfig(warmup=10, decay="cosine")
    assert rate_factor(0, 100, config) == pytest.approx(0.1)
    assert rate_factor(10, 100, config) == pytest.approx(1.0)
    assert rate_factor(100, 100, config) == pytest.approx(0.1)
    assert rate_factor(55, 100, OptimizerConfig(warmup=10, decay="linear")) == pytest.approx(0.55)
    assert rate_factor(99, 100, OptimizerConfig(warmup=0)) == 1.0


def test_metrics_are_rewound_to_the_step_and_other_stages_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    other, mine = MetricsLog(path, "sft"), MetricsLog(path, "align")
    other.write(7, {"loss": 1.0})
    for step in range(4):
        mine.write(step, {"loss": float(step)})
    with path.open("a") as out:
        out.write('{"stage": "align", "st')  # killed in the middle of a line
    mine.rewind(2)
    assert [r["step"] for r in read_metrics(path, "align")] == [0, 1]
    assert [json.loads(line)["stage"] for line in path.read_text().splitlines()] == ["sft", "align", "align"]
