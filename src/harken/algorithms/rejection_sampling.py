"""Rejection sampling: supervised training on the best of the policy's own completions (RAFT, 2304.06767)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from harken.algorithms.kl import AdaptiveKL
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.surrogate import masked_mean, tokens_in
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class RejectionSampling:
    """Each prompt's highest scores are learnt from as demonstrations, the rest is thrown away.

    2304.06767, algorithm 1: sample K, rank, train on the best. With `above` as the only bound (`each` as large as the
    group) it learns from all that is right, as 2308.01825 (RFT) does. A completion that ran out of room is never taken:
    it would teach not to end.

    Attributes:
        group: completions a prompt.
        each: at most so many of a prompt, best first; of equal ones the first sampled.
        above: a score must be above this number; None for no such bound.
        epochs: how often each rollout is learnt from.
    """

    group: int = 8
    each: int = 1
    above: float | None = None
    epochs: int = 1
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def __post_init__(self) -> None:
        if min(self.group, self.each, self.epochs) < 1:
            raise ValueError(f"rejection_sampling takes at least 1 of at least 1 completion, at least once: {self}")

    @property
    def kl(self) -> AdaptiveKL:
        """There is no reference: what holds the policy is that it wrote what it learns."""
        return AdaptiveKL(initial=0.0, adaptive=False)

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`taken` (N,): which completions are learnt from."""
        good = rollout.finished.clone()
        if self.above is not None:
            good &= rollout.scores > self.above
        taken = torch.zeros_like(good)
        for prompt in rollout.prompt.unique():
            rows = ((rollout.prompt == prompt) & good).nonzero()[:, 0]
            order = rollout.scores[rows].argsort(descending=True, stable=True)
            taken[rows[order[: self.each]]] = True
        return {"taken": taken}

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Minus the mean log-probability of the tokens of what is taken; 0, with weight 0, if nothing is."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        taken = batch.labels["taken"]
        mask = batch.completions.mask & taken[:, None]
        share, count = float(taken.float().mean()), float(len(taken))
        return Loss(-masked_mean(outputs.logprobs, mask), {"taken": share}, tokens_in(mask), {"taken": count})
