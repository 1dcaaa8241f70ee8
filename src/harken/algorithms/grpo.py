"""Group relative policy optimisation (2402.03300), with the choices of Dr. GRPO (2503.20783) and DAPO (2503.14476)."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from harken.algorithms.aggregate import Aggregate, aggregate
from harken.algorithms.group import all_equal, group_totals
from harken.algorithms.kl import ESTIMATORS, AdaptiveKL, Estimator
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.overlong import Overlong
from harken.algorithms.surrogate import clipped_surrogate, masked_mean
from harken.data.batch import Batch, Outputs
from harken.data.bounds import at_least


@dataclass(frozen=True)
class GRPO:
    """No critic: a completion's advantage is its score, standardised within its prompt's group.

    2402.03300, eq. 3 (loss), eq. 4 (KL in the loss) and section 4.1.2 (advantages). The standard deviation is the
    population's, which is defined for every group; a group whose scores are all equal teaches nothing.

    Dr. GRPO is `scale: none, aggregate: constant, constant_length: (max_tokens), kl: {initial: 0}`. DAPO is `clip: 0.2,
    clip_high: 0.28, aggregate: token, skip_equal: true, overlong: {limit: ..., cache: ...}, kl: {initial: 0}`.

    Attributes:
        clip: how far a token's probability ratio may go from 1 and still be rewarded.
        clip_high: the same upwards (2503.14476, eq. 8: 0.28 there); None for `clip`.
        scale: `std` divides by the group's standard deviation, `none` does not (2503.20783, Dr. GRPO).
        aggregate: `sequence` is the mean over completions of their token means (2402.03300), `token` the mean over
            all tokens of the batch, which does not favour short good answers (2503.14476, eq. 8), `constant` the mean
            over completions of their tokens' sums divided by `constant_length` (2503.20783).
        constant_length: tokens; 2503.20783 takes the most that a completion may have.
        overlong: a punishment of long completions, added to their scores (2503.14476, eq. 13); None for none.
        drop_unfinished: completions that ran out of room keep their part in the group's mean, and are not learnt from
            (overlong filtering, 2503.14476, section 3.4).
        skip_equal: groups whose scores are all equal do not count in the mean of the loss. It is the first half of
            dynamic sampling (2503.14476, eq. 11); prompts are not sampled again to fill up the batch.
        epochs: how often each rollout is learnt from.
        group: completions a prompt; at least 2.
        kl_estimator: of the KL term; the paper's is k3. What each one's gradient is, says `harken.algorithms.kl`.
        kl: the weight of the KL term in the loss; from 0 on no reference is asked.
    """

    clip: float = 0.2
    clip_high: float | None = None
    scale: Literal["std", "none"] = "std"
    aggregate: Aggregate = "sequence"
    constant_length: int | None = None
    overlong: Overlong | None = None
    drop_unfinished: bool = False
    skip_equal: bool = False
    epochs: int = 1
    group: int = 8
    kl_estimator: Estimator = "k3"
    kl: AdaptiveKL = field(default_factory=lambda: AdaptiveKL(initial=0.04, adaptive=False))
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def __post_init__(self) -> None:
        at_least(self, "grpo", clip=0, clip_high=0, epochs=1)
        if self.group < 2:
            raise ValueError(f"grpo compares the completions of one prompt: group must be at least 2, not {self.group}")
        if (self.aggregate == "constant") != (self.constant_length is not None) or (self.constant_length or 1) < 1:
            raise ValueError(f"grpo: `aggregate: constant` and a `constant_length` from 1 up go together: {self}")

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`advantages` and `old_logprobs` (N, T); `kept` (N,), what is learnt from; `equal` (N,), whose group ties.

        With a KL term, `reference_logprobs` (N, T) and `kl_coefficient` (N,) too.
        """
        # In double precision, so that equal scores are equal to their mean and are not scaled up from its rounding.
        scores = rollout.scores.double()
        if self.overlong is not None:
            scores = scores + self.overlong.punishment(rollout.mask.sum(1), scores)
        totals, sizes = group_totals(scores, rollout.prompt)
        advantages = scores - totals / sizes
        if self.scale == "std":
            squares, _ = group_totals(advantages.square(), rollout.prompt)
            advantages = advantages / ((squares / sizes).sqrt() + 1e-4)
        equal = all_equal(scores, rollout.prompt)
        labels = {
            "advantages": advantages.to(rollout.logprobs.dtype)[:, None] * rollout.mask,
            "old_logprobs": rollout.logprobs,
            "equal": equal,
            "kept": (rollout.finished | (not self.drop_unfinished)) & ~(equal & self.skip_equal),
        }
        if self.kl.initial > 0:
            labels["reference_logprobs"] = rollout.reference_logprobs
            labels["kl_coefficient"] = rollout.scores.new_full(rollout.scores.shape, rollout.kl_coefficient)
        return labels

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Clipped surrogate + KL coefficient * KL, averaged as `aggregate` says; weight 0 if no completion is kept."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        labels = batch.labels
        mask = batch.completions.mask & labels["kept"][:, None]
        tokens, metrics = clipped_surrogate(
            outputs.logprobs, labels["old_logprobs"], labels["advantages"], mask, self.clip, self.clip_high
        )
        value, weight = aggregate(tokens, mask, self.aggregate, self.constant_length)
        _, sizes = group_totals(labels["equal"].double(), batch.completions.prompt)
        metrics |= {
            "policy_loss": value.item(),
            "group/equal": float((labels["equal"] / sizes).sum() / (1 / sizes).sum()),
        }
        if self.kl.initial > 0:
            kl = ESTIMATORS[self.kl_estimator](outputs.logprobs, labels["reference_logprobs"], mask)
            penalty, _ = aggregate(labels["kl_coefficient"][:, None] * kl, mask, self.aggregate, self.constant_length)
            value = value + penalty
            metrics["kl_token"] = masked_mean(kl, mask).item()
        return Loss(value, metrics, weight)
