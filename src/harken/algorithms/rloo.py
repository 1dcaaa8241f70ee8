"""REINFORCE with a leave-one-out baseline (2402.14740)."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from harken.algorithms.group import leave_one_out
from harken.algorithms.kl import AdaptiveKL, k1
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.surrogate import policy_gradient
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class RLOO:
    """Each completion's baseline is the mean return of the others of its prompt (2402.14740).

    The return is the score less the KL penalty of the whole completion. A completion that is alone in its group
    has nothing to be compared with and teaches nothing. A rollout is learnt from once: the gradient is right only for
    the policy that sampled it. With more than one minibatch the later ones are a step or more off it.

    Attributes:
        group: completions a prompt; at least 2.
        kl: the weight of the KL penalty.
    """

    group: int = 4
    kl: AdaptiveKL = field(default_factory=AdaptiveKL)
    epochs: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ValueError(f"rloo compares the completions of one prompt: group must be at least 2, not {self.group}")

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`advantages` (N, T), one number a completion."""
        kl = k1(rollout.logprobs, rollout.reference_logprobs, rollout.mask).sum(1)
        returns = rollout.scores - rollout.kl_coefficient * kl
        return {"advantages": leave_one_out(returns, rollout.prompt)[:, None] * rollout.mask}

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Minus the mean over completions of advantage * log-probability of the completion."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        mask = batch.completions.mask
        return Loss(policy_gradient(outputs.logprobs, batch.labels["advantages"], mask), weight=float(len(mask)))
