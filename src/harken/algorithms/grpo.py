"""Group relative policy optimisation (2402.03300)."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from harken.algorithms.group import group_totals
from harken.algorithms.kl import AdaptiveKL, k3
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.surrogate import clipped_surrogate, completion_mean, masked_mean
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class GRPO:
    """No critic: a completion's advantage is its score, standardised within its prompt's group.

    2402.03300, eq. 3 (loss), eq. 4 (KL in the loss) and section 4.1.2 (advantages). The standard deviation is the
    population's, which is defined for every group; a group whose scores are all equal teaches nothing.

    Attributes:
        clip: how far a token's probability ratio may go from 1 and still be rewarded.
        scale: `std` divides by the group's standard deviation, `none` does not (2503.20783, Dr. GRPO).
        aggregate: `sequence` is the mean over completions of their token means (2402.03300), `token` the mean over
            all tokens of the batch, which does not favour short good answers (2503.14476, eq. 8).
        epochs: how often each rollout is learnt from.
        group: completions a prompt; at least 2.
        kl: the weight of the KL term in the loss.
    """

    clip: float = 0.2
    scale: Literal["std", "none"] = "std"
    aggregate: Literal["token", "sequence"] = "sequence"
    epochs: int = 1
    group: int = 8
    kl: AdaptiveKL = field(default_factory=lambda: AdaptiveKL(initial=0.04, adaptive=False))
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ValueError(f"grpo compares the completions of one prompt: group must be at least 2, not {self.group}")

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`advantages`, `old_logprobs` and `reference_logprobs` (N, T), `kl_coefficient` (N,)."""
        # In double precision, so that equal scores are equal to their mean and are not scaled up from its rounding.
        scores = rollout.scores.double()
        totals, sizes = group_totals(scores, rollout.prompt)
        advantages = scores - totals / sizes
        if self.scale == "std":
            squares, _ = group_totals(advantages.square(), rollout.prompt)
            advantages = advantages / ((squares / sizes).sqrt() + 1e-4)
        return {
            "advantages": advantages.to(rollout.logprobs.dtype)[:, None] * rollout.mask,
            "old_logprobs": rollout.logprobs,
            "reference_logprobs": rollout.reference_logprobs,
            "kl_coefficient": rollout.scores.new_full(rollout.scores.shape, rollout.kl_coefficient),
        }

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Clipped surrogate + KL coefficient * k3, averaged as `aggregate` says."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        mask, labels = batch.completions.mask, batch.labels
        tokens, metrics = clipped_surrogate(
            outputs.logprobs, labels["old_logprobs"], labels["advantages"], mask, self.clip
        )
        kl = k3(outputs.logprobs, labels["reference_logprobs"], mask)
        mean = masked_mean if self.aggregate == "token" else completion_mean
        policy, penalty = mean(tokens, mask), mean(labels["kl_coefficient"][:, None] * kl, mask)
        metrics |= {"policy_loss": policy.item(), "kl_token": masked_mean(kl, mask).item()}
        return Loss(policy + penalty, metrics)
