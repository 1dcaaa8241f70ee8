"""Online DPO: the policy's own completions, judged as they are made (2402.04792)."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from harken.algorithms.dpo import DPO
from harken.algorithms.kl import AdaptiveKL
from harken.algorithms.objective import Loss, Rollout
from harken.data.batch import Batch, Outputs
from harken.data.bounds import at_least


@dataclass(frozen=True)
class OnlineDPO:
    """Of each prompt's completions the one with the highest score is preferred to the one with the lowest.

    2402.04792, algorithm 1, with the reward in place of the model that annotates there, and best against worst where a
    group is larger than 2. The loss is DPO's (2305.18290, eq. 7). A prompt whose scores are all equal makes no pair.

    Attributes:
        beta: how tightly the reference holds; 1 / nats.
        link: as in `harken.algorithms.dpo`.
        label_smoothing: as there.
        group: completions a prompt; at least 2.
        epochs: how often each rollout is learnt from; 1 in the paper.
    """

    beta: float = 0.1
    link: Literal["sigmoid", "hinge"] = "sigmoid"
    label_smoothing: float = 0.0
    group: int = 2
    epochs: int = 1
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def __post_init__(self) -> None:
        at_least(self, "online_dpo", epochs=1)
        if self.group < 2:
            raise ValueError(
                f"online_dpo compares completions of one prompt: group must be at least 2, not {self.group}"
            )
        self._dpo()

    def _dpo(self) -> DPO:
        return DPO(self.beta, self.link, self.label_smoothing)

    @property
    def kl(self) -> AdaptiveKL:
        """Beta is the weight of the KL to the reference; it stands still, and is in the loss already."""
        return AdaptiveKL(initial=self.beta, adaptive=False)

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`side` (N,): 1 for a prompt's best completion, -1 for its worst, else 0; `reference_logprobs` (N, T)."""
        scores, side = rollout.scores, torch.zeros_like(rollout.prompt)
        for prompt in rollout.prompt.unique():
            rows = (rollout.prompt == prompt).nonzero()[:, 0]
            best, worst = rows[scores[rows].argmax()], rows[scores[rows].argmin()]
            if scores[best] > scores[worst]:
                side[best], side[worst] = 1, -1
        return {"side": side, "reference_logprobs": rollout.reference_logprobs}

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Mean over the pairs of this batch, which holds whole groups; 0, with weight 0, if there is none."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        prompt, side = batch.completions.prompt, batch.labels["side"]
        chosen, rejected = (
            rows[prompt[rows].argsort()] for rows in ((side == sign).nonzero()[:, 0] for sign in (1, -1))
        )
        if not len(chosen):
            return Loss(0.0 * torch.where(batch.completions.mask, outputs.logprobs, 0.0).sum(), weight=0.0)
        return self._dpo().loss(outputs, replace(batch, labels=batch.labels | {"chosen": chosen, "rejected": rejected}))
