"""What is explained: how likely a policy finds an answer, how good a reward model does, what a head says (`heads`).

One number an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harken.data.batch import Batch, EncodedPrompt, collate
from harken.evaluate.explain.shown import MINUS
from harken.models.model import Model
from harken.models.predictor import Predictor
from harken.reward.model import SCORES, RewardModel

LOGPROBS = frozenset({"logprobs"})
Kind = Literal["policy", "reward", "head"]


SMALL = 200_000_000
"""Weights of a model that may take a whole batch at a time."""


@dataclass(frozen=True)
class Budget:
    """How finely integrals are taken.

    Attributes:
        first: points to begin with.
        most: points at most.
        batch: prompts computed at a time.
    """

    first: int = 16
    most: int = 256
    batch: int = 16

    @classmethod
    def of(cls, model: Model | Predictor, most: int = 256) -> "Budget":
        """What fits a model: a large one takes little at a time.

        Args:
            model: what is explained.
            most: points at most.
        """
        small = sum(parameter.numel() for parameter in model.trunk.parameters()) <= SMALL
        return cls(min(16, most), most, 16 if small else 2)


@runtime_checkable
class Target(Protocol):
    """A model, and the number of an answer that is explained."""

    @property
    def model(self) -> Model | Predictor:
        """Whose."""
        ...

    @property
    def kind(self) -> Kind:
        """Whether it answers, scores or predicts."""
        ...

    @property
    def unit(self) -> str:
        """Of the number."""
        ...

    @property
    def title(self) -> str:
        """The question that a page answers."""
        ...

    @property
    def scale(self) -> str:
        """Numbers of one scale can be compared."""
        ...

    def extra(self, value: float, tokens: int) -> str:
        """Another figure of a number, in words, of an answer of so many tokens; none if there is none."""
        ...

    def __call__(self, batch: Batch) -> Float[Tensor, " N"]:
        """The number of each of N answers, with its graph."""
        ...


@dataclass(frozen=True)
class Likelihood:
    """The mean log-probability of an answer's tokens under a policy, in nats a token.

    The mean, and not the sum, so that long answers can be set beside short ones; the sum is it times the length.
    """

    model: Model
    kind: Kind = "policy"
    unit: str = "nats a token"
    title: str = "Why the policy gave it"
    scale: str = "policy"

    def extra(self, value: float, tokens: int) -> str:
        """The sum over the tokens."""
        return f"{MINUS}{abs(tokens * value):.2f} nats for all {tokens} tokens"

    def __call__(self, batch: Batch) -> Float[Tensor, " N"]:
        """Of N answers."""
        found = self.model(batch, LOGPROBS).logprobs
        assert found is not None, "the model gives what is needed"
        mask = batch.completions.mask
        return (found * mask).sum(1) / mask.sum(1)


@dataclass(frozen=True)
class Score:
    """The score of an answer by a reward model, its members combined; 1 is a deviation over the answers people saw."""

    reward: RewardModel
    kind: Kind = "reward"
    unit: str = "score"
    title: str = "Why the reward model scored it so"
    scale: str = "reward"

    def extra(self, value: float, tokens: int) -> str:
        """None."""
        return ""

    @property
    def model(self) -> Model:
        """The trunk with its heads."""
        return self.reward.model

    def __call__(self, batch: Batch) -> Float[Tensor, " N"]:
        """Of N answers."""
        raw = self.model(batch, SCORES).scores
        assert raw is not None, "the model gives what is needed"
        return self.reward.combine((raw - self.reward.centre) / self.reward.spread)


def batch_of(model: Model | Predictor, prompts: Sequence[EncodedPrompt], completion: Int[Tensor, " T"]) -> Batch:
    """The same answer to each of some prompts, on the model's device."""
    count = len(prompts)
    return collate(prompts, [completion] * count, range(count), model.processor.pad_id).to(model.trunk.device)


@torch.no_grad()
def values_of(
    target: Target, prompts: Sequence[EncodedPrompt], completion: Int[Tensor, " T"], batch: int = 16
) -> list[float]:
    """The number of one answer to each of some prompts.

    Args:
        target: what is explained.
        prompts: the prompt, differently blanked.
        completion: the answer.
        batch: prompts at a time.
    """
    parts = [prompts[start : start + batch] for start in range(0, len(prompts), batch)]
    return [value for part in parts for value in target(batch_of(target.model, part, completion)).double().tolist()]
