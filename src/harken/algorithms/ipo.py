"""Identity preference optimisation (2310.12036)."""

from dataclasses import dataclass
from typing import ClassVar

from harken.algorithms.objective import Learns, Loss
from harken.algorithms.pairs import log_ratios, margins, pair_loss
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class IPO:
    """The pair's difference of log-ratios is brought to 1 / (2 beta), and no further: sure comparisons do not overfit.

    2310.12036, eq. 17: the loss of a pair is (h - 1 / (2 beta))^2, with h the chosen completion's
    log(pi(y | x) / pi_ref(y | x)) less the rejected one's.

    Attributes:
        beta: the paper's tau: how tightly the reference holds; 1 / nats.
        per_token: take log-ratios as means over tokens and not as sums. Not in the paper, whose h grows with length;
            with it one beta fits short and long completions, and must be chosen anew.
    """

    beta: float = 0.1
    per_token: bool = False
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    reference: ClassVar[bool] = True
    learns: ClassVar[Learns] = "pairs"

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ValueError(
                f"ipo: beta sets how far pairs are driven apart, 1 / (2 beta), and is above 0; {self.beta}"
            )

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Mean over pairs; the rewards in the metrics are beta times the log-ratios."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        ratios = log_ratios(outputs.logprobs, batch)
        if self.per_token:
            ratios = ratios / batch.completions.mask.sum(1).clamp(min=1)
        losses = (margins(ratios, batch.labels) - 1 / (2 * self.beta)).square()
        return pair_loss(losses, self.beta * ratios, batch.labels)
