"""Muon for the matrices of the layers, AdamW for the rest; learning rates as functions of the step."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from harken.data.bounds import at_least, share


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights move.

    Attributes:
        rate: AdamW's learning rate.
        muon_rate: Muon's learning rate for the matrices of transformer layers; 0 gives them to AdamW too.
        weight_decay: decoupled.
        beta2: AdamW's second moment.
        warmup: steps of linear warm-up.
        decay: how the rate falls after the warm-up, to a tenth (cosine, linear) or not at all.
        max_norm: gradients are clipped to this norm.
        ema: decay of an exponential moving average of the weights, which training then leaves; 0 for none.
    """

    rate: float = 2e-3
    muon_rate: float = 4e-3
    weight_decay: float = 0.0
    beta2: float = 0.95
    warmup: int = 20
    decay: Literal["none", "linear", "cosine"] = "none"
    max_norm: float = 1.0
    ema: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, "optimizer", rate=0, muon_rate=0, weight_decay=0, warmup=0, max_norm=0)
        share(self, "optimizer", "beta2")
        if not 0 <= self.ema < 1:
            raise ValueError(f"optimizer.ema is a decay from 0 to below 1, not {self.ema}")


def build_optimizers(module: nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """The optimizers of a module's trainable parameters (each parameter in exactly one)."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            # Muon is for whole matrices; an adapter's thin factors are AdamW's.
            in_layer = parameter.dim() == 2 and ".layers." in f".{name}" and ".lora_" not in name
            (matrices if in_layer and config.muon_rate > 0 else rest).append(parameter)
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices, lr=config.muon_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    if rest:
        betas = (0.9, config.beta2)
        optimizers.append(
            torch.optim.AdamW(rest, lr=config.rate, betas=betas, weight_decay=config.weight_decay, fused=True)
        )
    return optimizers


def rate_factor(step: int, steps: int, config: OptimizerConfig) -> float:
    """What the base learning rates are multiplied by at a step (0-based) of `steps`."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, steps - config.warmup)
    match config.decay:
        case "linear":
            return 1 - 0.9 * done
        case "cosine":
            return 0.1 + 0.45 * (1 + math.cos(math.pi * done))
        case _:
            return 1.0
