"""The one training loop: blind to algorithm and modality. The only `.backward(` of the house.

A step is: batches from the source, outputs of the module, loss of the objective, one move of the optimizers. All
randomness is derived from (seed, step), so that a checkpoint needs no generator states.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from harken.algorithms.objective import Loss, Objective, OwnStep
from harken.data.batch import Batch, Outputs
from harken.data.bounds import at_least
from harken.data.seeds import derive
from harken.train import checkpoint
from harken.train.descent import Step
from harken.train.ema import WeightAverage
from harken.train.metrics_log import MetricsLog
from harken.train.optimizers import OptimizerConfig, build_optimizers, frozen_parts, rate_factor
from harken.train.stopping import StoppingConfig, Watch
from harken.types import JSON

SAMPLES, CHECKPOINTS, BEST = "samples.jsonl", "checkpoints", "best"


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
        stopping: when training is measured on what is held out, and ends early.
        measure: that measure; larger is better.
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
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    measure: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        at_least(self, "training", checkpoint_every=1)


def fit(module: nn.Module, source: Source, objective: Objective, how: Fit) -> None:
    """Train a module in place; continues from the newest whole checkpoint of the same key.

    Args:
        module: called as `module(batch, needs)`, gives `Outputs`.
        source: where batches come from.
        objective: the loss.
        how: where and how.

    Raises:
        Interrupted: when `how.stop` said so; a checkpoint was written.
        FloatingPointError: if a loss, a gradient or a reward is not finite; the batch is kept, and the weights of the
            last checkpoint are untouched.
        OSError: if a checkpoint cannot be written; the one before is whole.
    """
    with frozen_parts(module, how.optimizer.parts):
        _fit(_Training(module, source, objective, how))


def _fit(training: "_Training") -> None:
    module, source, how = training.module, training.source, training.how
    log, kept = MetricsLog(how.log, how.stage), MetricsLog(how.folder / SAMPLES, how.stage)
    start = training.restore()
    log.rewind(start)
    kept.rewind(start)
    module.train()
    for step in range(start, source.steps):
        if training.watch.ended:
            break
        torch.manual_seed(derive(how.seed, how.stage, "step", step))
        figures = training.step(step)
        figures |= source.metrics()
        done = step + 1
        figures |= training.look(done)
        log.write(step, figures)
        for sample in source.samples():
            kept.write(step, sample)
        if training.tracked:
            training.accelerator.log(figures, step=step)
        stopping = how.stop()
        if stopping or (done % how.checkpoint_every == 0 and done < source.steps):
            training.checkpoint(done)
        how.on_step(done, source.steps, figures)
        if stopping and done < source.steps:
            raise Interrupted(f"{how.stage} stopped after step {done} of {source.steps}")
    training.end()


class InPrecision(nn.Module):
    """A module whose matrices are multiplied in another type; its weights, and what needs more, stay as they are."""

    def __init__(self, module: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.module, self.dtype = module, dtype

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """As the module's."""
        with torch.autocast(batch.prompts.ids.device.type, self.dtype):
            out: Outputs = self.module(batch, needs)
        return out


class _Training:
    """A module in training: its optimizers, what is averaged and watched, and how all of it is kept."""

    def __init__(self, module: nn.Module, source: Source, objective: Objective, how: Fit):
        self.module, self.source, self.objective, self.how = module, source, objective, how
        self.tracked = how.tracker != "none"
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),
            log_with=how.tracker if self.tracked else None,
            project_dir=how.log.parent if self.tracked else None,
        )
        if self.tracked:
            self.accelerator.init_trackers("tensorboard")
        self.own = isinstance(objective, OwnStep)
        if isinstance(objective, OwnStep):
            # It is called with a closure and gives the loss back, which a wrapper would not hand on.
            self.prepared = self.accelerator.prepare(module)
            self.optimizers = [objective.optimizer(module)]
        else:
            optimizers = build_optimizers(module, how.optimizer)
            self.prepared, *self.optimizers = self.accelerator.prepare(module, *optimizers)
        if how.optimizer.precision == "bfloat16":
            self.prepared = InPrecision(self.prepared, torch.bfloat16)
        self.rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.average = WeightAverage(module, how.optimizer.ema) if how.optimizer.ema else None
        self.watch = Watch(how.stopping, how.measure)

    def step(self, step: int) -> dict[str, float]:
        """One step: batches, loss, gradients, and a move of the weights."""
        how, source = self.how, self.source
        batches = [batch.to(self.accelerator.device) for batch in source.batches(step)]
        work = Step(
            f"{how.stage}, step {step}",
            how.folder / f"bad-step-{step:08d}",
            self.prepared,
            self.objective,
            lambda batch, outputs: dict(source.observe(step, batch, outputs)),
            f"lower the learning rate (now {how.optimizer.rate}, and {how.optimizer.muon_rate} for Muon), or look at "
            "this step's data",
        )
        self._set_rates(step)
        if self.own:
            moved: Any = self.optimizers[0]  # its closure gives a `Loss`, and so does its step
            loss: Loss = moved.step(lambda: work.whole_loss(batches))
            figures = {"loss": loss.value.item(), **loss.metrics}
        else:
            figures = work.descend(batches, self._backward)
            norm = float(self.accelerator.clip_grad_norm_(self.module.parameters(), how.optimizer.max_norm))
            if not math.isfinite(norm):
                work.refuse(batches, f"the norm of the gradient is {norm}")
            figures["gradient_norm"] = norm
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.follow(self.module)
        return figures | {"learning_rate": self.optimizers[-1].param_groups[0]["lr"]}

    def _backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def _set_rates(self, step: int) -> None:
        factor = rate_factor(step, self.source.steps, self.how.optimizer)
        for optimizer, base in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, base, strict=True):
                group["lr"] = rate * factor

    def look(self, done: int) -> dict[str, float]:
        """Measure what is held out, if it is time; the best weights are kept."""
        if not self.watch.due(done, self.source.steps):
            return {}
        # What training would leave is what is measured and kept: the average, where there is one.
        with self.average.within(self.module) if self.average else nullcontext():
            self.module.eval()
            with torch.no_grad():
                figure, best = self.watch.look(done)
            self.module.train()
            if best and self.how.stopping.keep_best:
                tensors = {"model": trained_tensors(self.module)}
                checkpoint.write(self.how.folder / BEST, done, tensors, {"key": self.how.key}, keep=1)
        return {"measure": figure}

    def checkpoint(self, done: int) -> None:
        """Write everything that going on exactly needs."""
        tensors: dict[str, dict[str, Tensor]] = {"model": trained_tensors(self.module)}
        for i, optimizer in enumerate(self.optimizers):
            tensors[f"optimizer{i}"], _ = checkpoint.flatten_optimizer(optimizer)
        tensors["source"], source_state = self.source.state()
        if self.average is not None:
            tensors["average"] = self.average.state()
        state = {"key": self.how.key, "source": source_state, "watch": self.watch.state()}
        checkpoint.write(self.how.folder / CHECKPOINTS, done, tensors, state)

    def restore(self) -> int:
        """Go on from the newest whole checkpoint of this key; what another training left is removed.

        Returns:
            how many steps are done.
        """
        found = checkpoint.latest(self.how.folder / CHECKPOINTS)
        if found is None or checkpoint.state_of(found)["key"] != self.how.key:
            for left in (CHECKPOINTS, BEST):
                checkpoint.forget(self.how.folder / left)
            return 0
        tensors, state = checkpoint.read(found)
        self.module.load_state_dict(tensors["model"], strict=False)
        for i, optimizer in enumerate(self.optimizers):
            checkpoint.restore_optimizer(optimizer, tensors[f"optimizer{i}"])
        self.source.restore(tensors["source"], state["source"])
        self.watch.restore(state["watch"])
        if self.average is not None:
            self.average.restore(tensors["average"])
        return int(state["step"])

    def end(self) -> None:
        """Leave the weights that training is for: the best, or the average, or the last."""
        if self.tracked:
            self.accelerator.end_training()
        if self.average is not None:
            self.average.put_into(self.module)
        if self.watch.best is not None and self.how.stopping.keep_best:
            best = checkpoint.of_step(self.how.folder / BEST, self.watch.best_step)
            self.module.load_state_dict(checkpoint.read(best)[0]["model"], strict=False)
        self.module.eval()


def trained_tensors(module: nn.Module) -> dict[str, Tensor]:
    """What training changes: weights that are trained and buffers; frozen weights are where the run began."""
    frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in unique_tensors(module).items() if name not in frozen}


def unique_tensors(module: nn.Module) -> dict[str, Tensor]:
    """A module's weights and buffers, tied ones once (safetensors stores no tensor twice)."""
    seen: set[int] = set()
    out = {}
    for name, tensor in module.state_dict().items():
        if tensor.data_ptr() not in seen or tensor.numel() == 0:
            seen.add(tensor.data_ptr())
            out[name] = tensor
    return out
