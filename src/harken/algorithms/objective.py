"""What the loop asks of an algorithm, and what an algorithm is given.

An algorithm is a frozen dataclass that is its own configuration. The loop knows two things of it: which
outputs of the model it needs, and `loss`. A reinforcement method has `advantages` besides; a method that learns from
people's preferences directly says how it wants them.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.optim import Optimizer

from harken.algorithms.kl import AdaptiveKL
from harken.data.batch import Batch, Outputs

Learns = Literal["pairs", "judgements"]
"""Pairs of completions of which one is better, or completions that are good or bad by themselves."""


@dataclass(frozen=True)
class Loss:
    """A loss to descend, and what to log of it (plain numbers).

    Attributes:
        value: a mean over what the batch holds.
        metrics: for the log.
        weight: how many things the mean is over (tokens, completions, pairs). Where one step's gradient is accumulated
            over several batches, each counts by its weight, so that the parts give what the whole would.
        metric_weights: the same for those metrics that are means over other things than the loss is.
        constraint: a second number that a method with its own step holds within bounds (TRPO's mean KL).
    """

    value: Float[Tensor, ""]
    metrics: dict[str, float] = field(default_factory=dict)
    weight: float = 1.0
    metric_weights: dict[str, float] = field(default_factory=dict)
    constraint: Float[Tensor, ""] | None = None


@dataclass(frozen=True)
class Rollout:
    """N sampled completions of P prompts, scored.

    Attributes:
        prompt: the prompt row of each completion, (N,).
        mask: which positions hold a token of the completion, (N, T).
        logprobs: of the sampled tokens under the policy that sampled them, (N, T).
        reference_logprobs: the same under the reference, (N, T).
        scores: the reward of each whole completion, (N,).
        values: the critic's values of the states before each token, (N, T); zeros without a critic.
        finished: whether the completion ended by itself, (N,).
        kl_coefficient: the weight of the KL penalty now.
        shaping: rewards of single tokens that sum to 0 in each completion, (N, T): they say where in a completion
            its score was earned. None where nobody says.
    """

    prompt: Int[Tensor, " N"]
    mask: Bool[Tensor, "N T"]
    logprobs: Float[Tensor, "N T"]
    reference_logprobs: Float[Tensor, "N T"]
    scores: Float[Tensor, " N"]
    values: Float[Tensor, "N T"]
    finished: Bool[Tensor, " N"]
    kl_coefficient: float
    shaping: Float[Tensor, "N T"] | None = None


@runtime_checkable
class Objective(Protocol):
    """A loss over one batch."""

    @property
    def needs(self) -> frozenset[str]:
        """Names of the fields of `Outputs` that the loss reads."""
        ...

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """The loss of one batch."""
        ...


@runtime_checkable
class OwnStep(Protocol):
    """A method that moves the weights by a step of its own and not by a gradient descent."""

    def optimizer(self, module: nn.Module) -> Optimizer:
        """What moves the module's trainable weights.

        Its `step(closure)` calls the closure as often as it likes; each call goes through the step's batches with the
        weights as they are then, and returns their `Loss` (with its graph, where gradients are enabled). It takes
        gradients by `torch.autograd.grad`. All calls of one step must be given the same batches, labels included: the
        first may add to them what later ones compare with.
        """
        ...


@runtime_checkable
class PreferenceObjective(Objective, Protocol):
    """A loss over what people prefer, without a reward model and without sampling."""

    learns: ClassVar[Learns]
    """Which labels it reads: of pairs (`algorithms.pairs`), or of judgements (`algorithms.kto`)."""
    reference: ClassVar[bool]
    """Whether labels need `reference_logprobs` (N, T)."""


@runtime_checkable
class RLAlgorithm(Objective, Protocol):
    """A reinforcement method: scored rollouts become labels, labels a loss.

    `kl`, `group` and `epochs` are fields of its configuration: how the KL penalty is steered, how many completions a
    prompt is given in a rollout, and how often each rollout is learnt from.
    """

    @property
    def kl(self) -> AdaptiveKL: ...  # noqa: D102

    @property
    def group(self) -> int: ...  # noqa: D102

    @property
    def epochs(self) -> int: ...  # noqa: D102

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """Labels for `loss`, each with N rows: `advantages` (N, T), and what else the method needs."""
        ...
