"""REINFORCE (Williams 1992, "Simple statistical gradient-following algorithms", theorem 2: episodes)."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from harken.algorithms.kl import AdaptiveKL, k1
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.surrogate import policy_gradient
from harken.data.batch import Batch, Outputs
from harken.data.bounds import at_least


@dataclass(frozen=True)
class Reinforce:
    """A completion is one episode: (return - baseline) * sum of its tokens' log-probabilities.

    The return is the score less the KL penalty of the whole completion (1909.08593, eq. 2). A rollout is learnt from
    once: the gradient is right only for the policy that sampled it. With more than one minibatch the later ones
    are a step or more off it.

    Attributes:
        baseline: `batch` subtracts the mean return of the rollout (which holds the completion's own, so that the
            gradient shrinks by 1 / N); `none` subtracts nothing.
        group: completions a prompt.
        kl: the weight of the KL penalty.
    """

    baseline: Literal["none", "batch"] = "batch"
    group: int = 1
    kl: AdaptiveKL = field(default_factory=AdaptiveKL)
    epochs: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def __post_init__(self) -> None:
        at_least(self, "reinforce", group=1)

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`advantages` (N, T), one number a completion."""
        kl = k1(rollout.logprobs, rollout.reference_logprobs, rollout.mask).sum(1)
        returns = rollout.scores - rollout.kl_coefficient * kl
        if self.baseline == "batch":
            returns = returns - returns.mean()
        return {"advantages": returns[:, None] * rollout.mask}

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Minus the mean over completions of advantage * log-probability of the completion."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        mask = batch.completions.mask
        return Loss(policy_gradient(outputs.logprobs, batch.labels["advantages"], mask), weight=float(len(mask)))
