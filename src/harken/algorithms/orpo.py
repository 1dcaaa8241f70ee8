"""Odds ratio preference optimisation: supervised training and preferences at once, without a reference (2403.07691)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from harken.algorithms.objective import Learns, Loss
from harken.algorithms.pairs import margins, mean_logprobs, pair_loss
from harken.data.batch import Batch, Outputs


def log_odds(logp: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """log(p / (1 - p)) from log p, exact where p is near 0 or 1 (2403.07691, eq. 4).

    A p that rounds to 1 is taken as the largest number below 1.
    """
    below = logp.clamp(max=-torch.finfo(logp.dtype).eps)
    return logp - torch.log(-torch.expm1(below))


@dataclass(frozen=True)
class ORPO:
    """Likelihood of the chosen completion, and the ratio of its odds to the rejected one's.

    2403.07691, eq. 6 and 7: the loss of a pair is L_SFT + odds_weight * L_OR, with L_SFT the chosen completion's mean
    negative log-likelihood a token and L_OR = -log sigmoid(log odds(chosen) - log odds(rejected)). The odds are of the
    completion's geometric mean probability a token (eq. 3 and 4).

    Attributes:
        odds_weight: the paper's lambda.
    """

    odds_weight: float = 0.1
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    reference: ClassVar[bool] = False
    learns: ClassVar[Learns] = "pairs"

    def __post_init__(self) -> None:
        if self.odds_weight < 0:
            raise ValueError(f"orpo: odds_weight must not be below 0, and is {self.odds_weight}")

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Mean over pairs; the rewards in the metrics are log-odds."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        means = mean_logprobs(outputs.logprobs, batch.completions.mask)
        odds = log_odds(means)
        ratio = -logsigmoid(margins(odds, batch.labels))
        return pair_loss(-means[batch.labels["chosen"]] + self.odds_weight * ratio, odds, batch.labels)
