"""Direct preference optimisation (2305.18290)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from harken.algorithms.objective import Learns, Loss
from harken.algorithms.pairs import log_ratios, margins, mean_logprobs, pair_loss
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class DPO:
    """The policy is its own reward model: r(x, y) = beta log(pi(y | x) / pi_ref(y | x)), fitted to comparisons.

    2305.18290, eq. 7: the loss of a pair is -log sigmoid(m), with m the chosen completion's reward less the rejected's.

    Attributes:
        beta: how tightly the reference holds; 1 / nats.
        link: `sigmoid` as in the paper; `hinge` is max(0, 1 - m) (2309.06657, after 2305.10425).
        label_smoothing: the share of comparisons that are held to be wrong, from 0 to below 1/2; the loss is then the
            mean of both readings (cDPO: Mitchell 2023, "A note on DPO with noisy preferences").
        sft_weight: adds this times the chosen completion's mean negative log-likelihood a token (2404.19733, eq. 1),
            which keeps its own probability from falling with the rejected one's.
    """

    beta: float = 0.1
    link: Literal["sigmoid", "hinge"] = "sigmoid"
    label_smoothing: float = 0.0
    sft_weight: float = 0.0
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    reference: ClassVar[bool] = True
    learns: ClassVar[Learns] = "pairs"

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ValueError(f"dpo: beta holds the policy to the reference and must be above 0, not {self.beta}")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(f"dpo: label_smoothing is a share from 0 to below 0.5, not {self.label_smoothing}")

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Mean over pairs."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        rewards = self.beta * log_ratios(outputs.logprobs, batch)
        margin, wrong = margins(rewards, batch.labels), self.label_smoothing
        losses = (1 - wrong) * self._of_margin(margin) + wrong * self._of_margin(-margin)
        if self.sft_weight:
            likelihood = mean_logprobs(outputs.logprobs, batch.completions.mask)
            losses = losses - self.sft_weight * likelihood[batch.labels["chosen"]]
        return pair_loss(losses, rewards, batch.labels)

    def _of_margin(self, margin: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
        return -logsigmoid(margin) if self.link == "sigmoid" else (1 - margin).clamp(min=0)
