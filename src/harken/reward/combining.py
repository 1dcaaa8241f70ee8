"""K scores of an ensemble to one reward."""

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
