"""Muon for the matrices of the layers, AdamW for the rest; learning rates as functions of the part and the step."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from harken.data.bounds import at_least, share

MATCHED = "match_rms_adamw"
"""Muon's updates are as large as AdamW's, so that one rate means the same to both."""


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights move.

    Attributes:
        rate: AdamW's learning rate.
        muon_rate: Muon's learning rate for the matrices of transformer layers; 0 gives them to AdamW too.
        weight_decay: decoupled, of everything but vectors (biases, gains of norms).
        beta2: AdamW's second moment.
        warmup: steps of linear warm-up.
        decay: how the rate falls after the warm-up (cosine, linear), or that it does not.
        floor: what share of the rate is left in the end, where it falls.
        max_norm: gradients are clipped to this norm.
        ema: decay of an exponential moving average of the weights, which training then leaves; 0 for none.
        parts: by what the learning rates of parts of the model are multiplied, such as `{encoders.image: 0.1}`, and 0
            for a part that stays as it is; a part is a run of names in the names of its weights, the longest counts.
        precision: in which type matrices are multiplied in training; weights stay as they are.
    """

    rate: float = 2e-3
    muon_rate: float = 4e-3
    weight_decay: float = 0.0
    beta2: float = 0.95
    warmup: int = 20
    decay: Literal["none", "linear", "cosine"] = "none"
    max_norm: float = 1.0
    ema: float = 0.0
    floor: float = 0.1
    parts: Mapping[str, float] = field(default_factory=dict)
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        at_least(self, "optimizer", rate=0, muon_rate=0, weight_decay=0, warmup=0, max_norm=0)
        share(self, "optimizer", "beta2", "floor")
        for name, factor in self.parts.items():
            if not (math.isfinite(factor) and factor >= 0):
                raise ValueError(f"optimizer.parts.{name} is a factor from 0 up, not {factor}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"optimizer.ema is a decay from 0 to below 1, not {self.ema}")


def part_factors(module: nn.Module, parts: Mapping[str, float]) -> dict[str, float]:
    """By what the learning rate of each weight is multiplied.

    Raises:
        ValueError: if a part names no weight.
    """
    factors: dict[str, float] = {}
    named: set[str] = set()
    for name, _ in module.named_parameters():
        mine = [part for part in parts if f".{part}." in f".{name}."]
        named |= set(mine)
        factors[name] = parts[max(mine, key=len)] if mine else 1.0
    for part in parts:
        if part not in named:
            tops = sorted({".".join(name.split(".")[:4]) for name in factors})
            raise ValueError(f"optimizer.parts: no weight is called {part!r}; there are {', '.join(tops[:12])} ...")
    return factors


@contextmanager
def frozen_parts(module: nn.Module, parts: Mapping[str, float]) -> Iterator[None]:
    """Within, the parts whose rate is 0 have no gradients."""
    factors = part_factors(module, parts)
    held = [p for name, p in module.named_parameters() if p.requires_grad and factors[name] == 0]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def build_optimizers(module: nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """The optimizers of a module's trainable parameters (each parameter in exactly one)."""
    factors = part_factors(module, config.parts)
    matrices: dict[tuple[float, float], list[nn.Parameter]] = {}
    rest: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            # Muon is for whole matrices; an adapter's thin factors are AdamW's.
            in_layer = parameter.dim() == 2 and ".layers." in f".{name}" and ".lora_" not in name
            decay = config.weight_decay if parameter.dim() > 1 else 0.0
            chosen = matrices if in_layer and config.muon_rate > 0 else rest
            chosen.setdefault((factors[name], decay), []).append(parameter)
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        muon = torch.optim.Muon(_groups(matrices, config.muon_rate), lr=config.muon_rate, adjust_lr_fn=MATCHED)
        optimizers.append(muon)
    if rest:
        betas = (0.9, config.beta2)
        optimizers.append(torch.optim.AdamW(_groups(rest, config.rate), lr=config.rate, betas=betas, fused=True))
    return optimizers


def _groups(chosen: Mapping[tuple[float, float], list[nn.Parameter]], rate: float) -> list[dict[str, Any]]:
    return [
        {"params": parameters, "lr": rate * factor, "weight_decay": decay}
        for (factor, decay), parameters in chosen.items()
    ]


def rate_factor(step: int, steps: int, config: OptimizerConfig) -> float:
    """What the base learning rates are multiplied by at a step (0-based) of `steps`."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    match config.decay:
        case "linear":
            return 1 - (1 - config.floor) * done
        case "cosine":
            return config.floor + (1 - config.floor) / 2 * (1 + math.cos(math.pi * done))
        case _:
            return 1.0
