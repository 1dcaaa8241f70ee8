"""Adversarial training: media are moved against the model, less than people notice, and then learnt from.

FGSM is one step (1412.6572, section 4), PGD several from a random place in the ball (1706.06083, section 2.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from harken.algorithms.objective import Objective
from harken.data.batch import Batch, Outputs
from harken.data.bounds import at_least


@dataclass(frozen=True)
class Attack:
    """How media are moved.

    Attributes:
        radius: of the ball, by the name of the media tensor: `{pixel_values: 0.0157}` is 4/255 a pixel.
        steps: of the ascent; 1 is FGSM.
        step: length of each, in radii; 2.5 / steps if not said.
        norm: `inf` bounds each number by the radius; `snr` bounds each medium's root mean square by the radius times
            its own (an SNR of 40 dB is a radius of 0.01).
        low: what no number goes below, by name.
        high: what none goes above.
        share: of the rows that are moved in training; the others are learnt from as they are.
    """

    radius: Mapping[str, float]
    steps: int = 1
    step: float | None = None
    norm: Literal["inf", "snr"] = "inf"
    low: float | None = 0.0
    high: float | None = 1.0
    share: float = 1.0

    def __post_init__(self) -> None:
        at_least(self, "attack", steps=1, step=0, share=0)
        if not self.radius or any(not r > 0 for r in self.radius.values()):
            raise ValueError(f"attack.radius names media tensors and a radius above 0 each, not {dict(self.radius)}")


def attacked(
    module: nn.Module, objective: Objective, batch: Batch, attack: Attack, generator: torch.Generator | None = None
) -> Batch:
    """A batch whose media are moved up the objective's loss.

    Args:
        module: called as `module(batch, needs)`.
        objective: whose loss rises.
        batch: with media as floating point numbers.
        attack: how.
        generator: draws where PGD begins; torch's own if None.
    """
    clean = {name: _as_numbers(batch.prompts.media[name]) for name in attack.radius if name in batch.prompts.media}
    radius = {name: _radii(clean[name], attack.radius[name], attack.norm) for name in clean}
    length = attack.step if attack.step is not None else 2.5 / attack.steps if attack.steps > 1 else 1.0
    moved = dict(clean)
    if attack.steps > 1:
        moved = {
            name: _within(x + radius[name] * _noise(x, generator), x, radius[name], attack) for name, x in clean.items()
        }
    for _ in range(attack.steps):
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in moved.items()}
        with torch.enable_grad():
            loss = objective.loss(module(_with(batch, leaves), objective.needs), batch).value
            gradients = torch.autograd.grad(loss, list(leaves.values()))
        for name, gradient in zip(leaves, gradients, strict=True):
            away = length * radius[name] * _direction(gradient, attack.norm)
            moved[name] = _within(moved[name] + away, clean[name], radius[name], attack)
    return _with(batch, moved)


def _as_numbers(media: Tensor) -> Tensor:
    return media.detach() if media.is_floating_point() else media.float() / 255


def _with(batch: Batch, media: Mapping[str, Tensor]) -> Batch:
    prompts = replace(batch.prompts, media={**batch.prompts.media, **media}, media_keys=("",) * len(batch.prompts.ids))
    return replace(batch, prompts=prompts)


def _each(values: Tensor, of: Tensor) -> Tensor:
    return values.view(-1, *[1] * (of.dim() - 1))


def _size(media: Tensor) -> Tensor:
    """The root mean square of each medium, as a factor for it."""
    return _each(media.flatten(1).square().mean(1).sqrt(), media)


def _radii(media: Tensor, radius: float, norm: str) -> Tensor:
    return _size(media) * radius if norm == "snr" else torch.full_like(_size(media), radius)


def _noise(media: Tensor, generator: torch.Generator | None) -> Tensor:
    drawn = torch.rand(media.shape, generator=generator, dtype=torch.float32)
    return (2 * drawn - 1).to(media)


def _direction(gradient: Tensor, norm: str) -> Tensor:
    if norm == "inf":
        return gradient.sign()
    return gradient / _size(gradient).clamp(min=1e-30)


def _within(moved: Tensor, clean: Tensor, radius: Tensor, attack: Attack) -> Tensor:
    away = moved - clean
    if attack.norm == "inf":
        away = torch.maximum(torch.minimum(away, radius), -radius)
    else:
        away = away * (radius / _size(away).clamp(min=1e-30)).clamp(max=1.0)
    return (clean + away).clamp(attack.low, attack.high)


class Attacked(nn.Module):
    """A module that in training learns from media moved against itself.

    Args:
        module: called as `module(batch, needs)`.
        objective: whose loss rises.
        attack: how.
    """

    def __init__(self, module: nn.Module, objective: Objective, attack: Attack):
        super().__init__()
        self.module, self.objective, self.attack = module, objective, attack

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """As the module's, of moved media while it trains."""
        if self.training:
            batch = self._mixed(batch)
        out: Outputs = self.module(batch, needs)
        return out

    def _mixed(self, batch: Batch) -> Batch:
        made = attacked(self.module, self.objective, batch, self.attack)
        if self.attack.share >= 1:
            return made
        media = {}
        for name, tensor in made.prompts.media.items():
            if name not in self.attack.radius:
                continue
            kept = _each(torch.rand(len(tensor)) >= self.attack.share, tensor).to(tensor.device)
            media[name] = torch.where(kept, _as_numbers(batch.prompts.media[name]), tensor)
        return _with(made, media)
