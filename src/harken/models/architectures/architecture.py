"""What harken asks of an architecture, and the answers that fit most of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from harken.data.batch import Prompts


def running_positions(mask: Bool[Tensor, "P T"]) -> Int[Tensor, "P T"]:
    """Positions of left-padded rows: 0 at the first real token."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


@runtime_checkable
class PromptPositions(Protocol):
    """Position ids of prompts: (P, T), or (axes, P, T) where a token has several."""

    def __call__(self, trunk: PreTrainedModel, prompts: Prompts) -> Int[Tensor, "..."]: ...  # noqa: D102


def plain_positions(trunk: PreTrainedModel, prompts: Prompts) -> Int[Tensor, "..."]:
    """One running number a token."""
    return running_positions(prompts.mask)


@dataclass(frozen=True)
class Architecture:
    """How a family of models differs from a plain decoder that media are merged into.

    Attributes:
        configs: names of the configuration classes that it is for.
        positions: the prompts' position ids; completions run on from their largest.
        reads_last_layer: whether the model itself reads the last decoder layer's states of a prompt's tokens.
        reader: makes of the family's processor one that is called as the others are.
    """

    configs: tuple[str, ...]
    positions: PromptPositions = plain_positions
    reads_last_layer: Callable[[PreTrainedConfig], bool] = lambda config: False
    reader: Callable[[Any], Any] = lambda hf: hf


def start_of(positions: Int[Tensor, "..."], mask: Bool[Tensor, "P T"]) -> Int[Tensor, " P"]:
    """The position of each prompt's first completion token: one after the largest of its own."""
    largest = positions if positions.dim() == 2 else positions.amax(0)
    return largest.masked_fill(~mask, -1).amax(1) + 1
