"""A tiny model of the family that reads numbers."""

from dataclasses import replace

import torch
from tiny import CORPUS, TINY

from harken.data.processor import Processor
from harken.models.fusion.build import build
from harken.models.model import Model


def reading(kind: str, alone: bool = False, **said: object) -> Model:
    """A tiny model with numbers, beside pictures and sounds or alone."""
    numbers = {"name": kind, "channels": 3, "hidden": 16, "max_steps": 8, **said}
    others = {} if alone else TINY.encoders
    trunk, processor = build(replace(TINY, encoders={**others, "numbers": numbers}), CORPUS, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in trunk.parameters():
            if parameter.dim() > 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return Model(trunk.eval(), Processor(processor)).eval()
