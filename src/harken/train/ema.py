"""An exponential moving average of the weights (Polyak and Juditsky 1992, SIAM J. Control 30), in single precision."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows a module's trained weights: average = decay * average + (1 - decay) * weight after each step.

    Args:
        module: whose weights; the average begins as they are.
        decay: from 0 (the weights themselves) to below 1.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self.average = {name: p.detach().float().clone() for name, p in module.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def follow(self, module: nn.Module) -> None:
        """One step further."""
        for name, parameter in module.named_parameters():
            if name in self.average:
                self.average[name].lerp_(parameter.detach().float(), 1 - self.decay)

    @torch.no_grad()
    def put_into(self, module: nn.Module) -> None:
        """The average becomes the weights."""
        for name, parameter in module.named_parameters():
            if name in self.average:
                parameter.copy_(self.average[name].to(parameter.dtype))

    @contextmanager
    def within(self, module: nn.Module) -> Iterator[None]:
        """Within, the average is the weights; afterwards these are as they were, to the bit."""
        before = {name: p.detach().clone() for name, p in module.named_parameters() if name in self.average}
        self.put_into(module)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    if name in before:
                        parameter.copy_(before[name])

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return dict(self.average)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        for name, tensor in tensors.items():
            self.average[name] = tensor.to(self.average[name].device)
