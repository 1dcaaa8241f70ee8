"""The one training loop: blind to algorithm and modality. The only `.backward(` of the house.

A step is: batches from the source, outputs of the module, loss of the objective, one move of the optimizers. All
randomness is derived from (seed, step), so that a checkpoint needs no generator states.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from harken.algorithms.objective import Objective
from harken.data.batch import Batch, Outputs
from harken.data.seeds import derive
from harken.train import checkpoint
from harken.train.metrics_log import MetricsLog
from harken.train.optimizers import OptimizerConfig, build_optimizers, rate_factor
from harken.types import JSON

SAMPLES = "samples.jsonl"


class Interrupted(Exception):
    """The run was asked to stop; everything done so far is in a checkpoint."""


@runtime_checkable
class Source(Protocol):
    """Where batches come from."""

    @property
    def steps(self) -> int:
        """How many optimizer steps there are."""
        ...

    def batches(self, step: int) -> list[Batch]:
        """The batches of one step; the same for the same step and weights, whatever happened before."""
        ...

    def observe(self, step: int, batch: Batch, outputs: Outputs) -> Mapping[str, float]:
        """What it has to say of the model's outputs for one of its batches; it may refuse them by an error."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Figures of its own since the last step."""
        ...

    def samples(self) -> list[dict[str, JSON]]:
        """Completions made since the last step, to keep."""
        ...

    def state(self) -> tuple[dict[str, Tensor], JSON]:
        """What `batches` remembers between steps."""
        ...

    def restore(self, tensors: dict[str, Tensor], state: JSON) -> None:
        """Put back what `state` gave."""
        ...


@dataclass(frozen=True)
class Fit:
    """Where and how one training goes.

    Attributes:
        folder: checkpoints are kept in `folder/checkpoints`.
        stage: its name in `metrics.jsonl`.
        key: hash of recipe and inputs; a checkpoint of another key is not continued.
        seed: of everything drawn.
        optimizer: how weights move.
        log: the run's `metrics.jsonl`.
        checkpoint_every: steps between checkpoints.
        tracker: also log to TensorBoard, through accelerate.
        on_step: called after each step with (steps done, steps in all, metrics).
        stop: asked after each step; true ends the run with a checkpoint.
    """

    folder: Path
    stage: str
    key: str
    seed: int
    optimizer: OptimizerConfig
    log: Path
    checkpoint_every: int = 50
    tracker: str = "none"
    on_step: Callable[[int, int, Mapping[str, float]], None] = lambda done, total, metrics: None
    stop: Callable[[], bool] = lambda: False


def fit(module: nn.Module, source: Source, objective: Objective, how: Fit) -> None:
    """Train a module in place; continues from the newest checkpoint of the same key.

    Args:
        module: called as `module(batch, needs)`, gives `Outputs`.
        source: where batches come from.
        objective: the loss.
        how: where and how.

    Raises:
        Interrupted: when `how.stop` said so; a checkpoint was written.
        FloatingPointError: if the loss is not finite: the weights of the last checkpoint are untouched.
    """
    tracked = how.tracker != "none"
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        log_with=how.tracker if tracked else None,
        project_dir=how.log.parent if tracked else None,
    )
    if tracked:
        accelerator.init_trackers("tensorboard")
    optimizers = build_optimizers(module, how.optimizer)
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    prepared, *optimizers = accelerator.prepare(module, *optimizers)
    log = MetricsLog(how.log, how.stage)
    start = _restore(module, optimizers, source, how)
    kept = MetricsLog(how.folder / SAMPLES, how.stage)
    log.rewind(start)
    kept.rewind(start)
    module.train()
    for step in range(start, source.steps):
        torch.manual_seed(derive(how.seed, how.stage, "step", step))
        figures = _descend(accelerator, prepared, source, objective, how, step)
        factor = rate_factor(step, source.steps, how.optimizer)
        for optimizer, base in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, base, strict=True):
                group["lr"] = rate * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        figures |= source.metrics()
        log.write(step, figures)
        for sample in source.samples():
            kept.write(step, sample)
        if tracked:
            accelerator.log(figures, step=step)
        done = step + 1
        stopping = how.stop()
        if stopping or (done % how.checkpoint_every == 0 and done < source.steps):
            _checkpoint(module, optimizers, source, how, done)
        how.on_step(done, source.steps, figures)
        if stopping and done < source.steps:
            raise Interrupted(f"{how.stage} stopped after step {done} of {source.steps}")
    if tracked:
        accelerator.end_training()
    module.eval()


def _descend(
    accelerator: Accelerator, module: nn.Module, source: Source, objective: Objective, how: Fit, step: int
) -> dict[str, float]:
    """Gradients of one step, clipped, and the step's figures."""
    batches = source.batches(step)
    figures: dict[str, float] = {}
    for batch in batches:
        moved = batch.to(accelerator.device)
        outputs = module(moved, objective.needs)
        loss = objective.loss(outputs, moved)
        if not torch.isfinite(loss.value):
            raise FloatingPointError(
                f"{how.stage}, step {step}: the loss is {loss.value.item()}; lower the learning rate (now "
                f"{how.optimizer.rate}, and {how.optimizer.muon_rate} for Muon), or look at this step's data"
            )
        accelerator.backward(loss.value / len(batches))
        seen = source.observe(step, moved, outputs)
        for name, value in {"loss": loss.value.item(), **loss.metrics, **seen}.items():
            figures[name] = figures.get(name, 0.0) + value / len(batches)
    figures["gradient_norm"] = float(accelerator.clip_grad_norm_(module.parameters(), how.optimizer.max_norm))
    return figures


def _checkpoint(
    module: nn.Module, optimizers: list[torch.optim.Optimizer], source: Source, how: Fit, done: int
) -> None:
    tensors: dict[str, dict[str, Tensor]] = {"model": unique_tensors(module)}
    for i, optimizer in enumerate(optimizers):
        tensors[f"optimizer{i}"], _ = checkpoint.flatten_optimizer(optimizer)
    tensors["source"], source_state = source.state()
    checkpoint.write(how.folder / "checkpoints", done, tensors, {"key": how.key, "source": source_state})


def _restore(module: nn.Module, optimizers: list[torch.optim.Optimizer], source: Source, how: Fit) -> int:
    found = checkpoint.latest(how.folder / "checkpoints")
    if found is None:
        return 0
    tensors, state = checkpoint.read(found)
    if state["key"] != how.key:
        return 0
    module.load_state_dict(tensors["model"], strict=False)
    for i, optimizer in enumerate(optimizers):
        checkpoint.restore_optimizer(optimizer, tensors[f"optimizer{i}"])
    source.restore(tensors["source"], state["source"])
    return int(state["step"])


def unique_tensors(module: nn.Module) -> dict[str, Tensor]:
    """A module's weights and buffers, tied ones once (safetensors stores no tensor twice)."""
    seen: set[int] = set()
    out = {}
    for name, tensor in module.state_dict().items():
        if tensor.data_ptr() not in seen or tensor.numel() == 0:
            seen.add(tensor.data_ptr())
            out[name] = tensor
    return out
