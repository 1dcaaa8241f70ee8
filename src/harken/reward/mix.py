"""Environment reward + lambda x human reward, with the breakdown kept."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from harken.reward.rules import RULES


@dataclass(frozen=True)
class Mixed:
    """Rewards of N completions.

    Attributes:
        total: what the policy is given, (N,).
        breakdown: each part before its weight, by name: the rules' and `human`; each (N,).
        weights: the weight of each part, so that `total` is the sum of weight * part.
    """

    total: Float[Tensor, " N"]
    breakdown: dict[str, Float[Tensor, " N"]]
    weights: dict[str, float]


@dataclass(frozen=True)
class Mix:
    """How rewards are added up.

    Attributes:
        human_weight: lambda at the start of training.
        human_weight_end: lambda at its end, reached in a straight line; None keeps it as it was.
        environment: the weight of each rule of `harken.reward.rules`, by name.
    """

    human_weight: float = 1.0
    human_weight_end: float | None = None
    environment: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.environment:
            if name not in RULES:
                near = difflib.get_close_matches(name, list(RULES), 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RULES)}"
                raise ValueError(f"mix.environment: there is no rule {name!r}; {hint}")
        ends = [self.human_weight] if self.human_weight_end is None else [self.human_weight, self.human_weight_end]
        if not all(math.isfinite(weight) and weight >= 0 for weight in ends):
            raise ValueError(f"mix: human_weight must be a finite number from 0 up, at both ends, not {ends}")
        if not all(math.isfinite(weight) for weight in self.environment.values()):
            raise ValueError(f"mix.environment: weights must be finite, not {dict(self.environment)}")

    def lambda_at(self, progress: float) -> float:
        """The weight of the human reward when a share of training, 0 to 1, is done."""
        if self.human_weight_end is None:
            return self.human_weight
        share = min(max(progress, 0.0), 1.0)
        return (1.0 - share) * self.human_weight + share * self.human_weight_end

    def combine(
        self, environment: Mapping[str, Float[Tensor, " N"]], human: Float[Tensor, " N"], progress: float = 0.0
    ) -> Mixed:
        """Add up the parts.

        Args:
            environment: what each rule says of N completions; exactly the rules of this mix.
            human: what the reward model says of them, (N,).
            progress: the share of training that is done, 0 to 1.

        Raises:
            ValueError: if the rules are not those of this mix.
        """
        if set(environment) != set(self.environment):
            raise ValueError(
                f"the mix weighs the rules {sorted(self.environment)}, but was given {sorted(environment)}"
            )
        weights = {**self.environment, "human": self.lambda_at(progress)}
        parts = {**{name: environment[name] for name in self.environment}, "human": human}
        total = torch.zeros_like(human)
        for name, part in parts.items():
            total = total + weights[name] * part
        return Mixed(total, parts, weights)
