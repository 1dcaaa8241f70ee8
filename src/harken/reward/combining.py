"""K scores of an ensemble to one reward, and to what it knows and does not know."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

Combine = Literal["mean", "worst", "uncertainty_weighted"]


@dataclass(frozen=True)
class Combining:
    """How K scores become one reward.

    Attributes:
        combine: their mean; the worst (2310.02743, eq. 3); the mean less `uncertainty` times their variance
            (2310.02743, eq. 4).
        uncertainty: the weight of the variance.
    """

    combine: Combine = "mean"
    uncertainty: float = 0.5

    def __call__(self, scores: Float[Tensor, "*B K"]) -> Float[Tensor, "*B"]:
        """One reward a completion."""
        match self.combine:
            case "worst":
                return scores.min(-1).values
            case "uncertainty_weighted":
                return scores.mean(-1) - self.uncertainty * scores.var(-1, unbiased=False)
            case _:
                return scores.mean(-1)


@dataclass(frozen=True)
class Summary:
    """What the members of an ensemble say of N completions, together.

    Attributes:
        mean: their mean, (N,).
        spread: their standard deviation, (N,): how far they disagree, which is how little they know; 0 for one member.
        worst: the lowest of their scores, (N,).
    """

    mean: Float[Tensor, " N"]
    spread: Float[Tensor, " N"]
    worst: Float[Tensor, " N"]

    @classmethod
    def of(cls, scores: Float[Tensor, "N K"]) -> "Summary":
        """Of N completions by K members."""
        return cls(scores.mean(-1), scores.std(-1, correction=0), scores.min(-1).values)
