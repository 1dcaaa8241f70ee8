"""Simple preference optimisation, without a reference (2405.14734)."""

from dataclasses import dataclass
from typing import ClassVar

from torch.nn.functional import logsigmoid

from harken.algorithms.objective import Learns, Loss
from harken.algorithms.pairs import margins, mean_logprobs, pair_loss
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class SimPO:
    """The reward of a completion is beta times its mean log-probability a token: what greedy decoding looks for.

    2405.14734, eq. 6: the loss of a pair is -log sigmoid(m - gamma), with m the chosen completion's reward less the
    rejected one's.

    Attributes:
        beta: scales the rewards; 1 / (nats a token).
        gamma: by how much the chosen completion's reward should be the higher one.
    """

    beta: float = 2.0
    gamma: float = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    reference: ClassVar[bool] = False
    learns: ClassVar[Learns] = "pairs"

    def __post_init__(self) -> None:
        if self.beta <= 0 or self.gamma < 0:
            raise ValueError(f"simpo: beta must be above 0 and gamma not below it, not {self.beta} and {self.gamma}")

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Mean over pairs."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        rewards = self.beta * mean_logprobs(outputs.logprobs, batch.completions.mask)
        return pair_loss(-logsigmoid(margins(rewards, batch.labels) - self.gamma), rewards, batch.labels)
