"""Trust region policy optimisation (1502.05477): natural gradient, and a line search that holds the KL's bound.

For small models and small vocabularies: it keeps the logits (N, T, V) of each step, and goes through the graph twice.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from harken.algorithms.conjugate_gradient import conjugate_gradient
from harken.algorithms.group import leave_one_out
from harken.algorithms.kl import AdaptiveKL, k1
from harken.algorithms.objective import Loss, Rollout
from harken.algorithms.surrogate import masked_mean, tokens_in
from harken.data.batch import Batch, Outputs


def mean_kl(old: Float[Tensor, "N T V"], new: Float[Tensor, "N T V"], mask: Bool[Tensor, "N T"]) -> Float[Tensor, ""]:
    """KL(old || new) of whole distributions, in nats, mean over the tokens of the mask (1502.05477, eq. 12 and C.1).

    Args:
        old: logits of the policy that the step starts from; no gradient is taken of them.
        new: logits of the policy now.
        mask: which tokens count, (N, T).
    """
    before, after = old.log_softmax(-1), new.log_softmax(-1)
    return masked_mean((before.exp() * (before - after)).sum(-1), mask)


@dataclass(frozen=True)
class TRPO:
    """Each step improves the surrogate as far as a bound on the mean KL to the policy before the step allows.

    1502.05477, eq. 14: tokens are actions; maximise the mean of ratio * advantage such that the mean over tokens
    of KL(old || new) is at most `max_kl`. A completion's advantage is its return (score less KL penalty to the
    reference) less the mean return of the others of its prompt (2402.14740): there is no critic.

    Attributes:
        max_kl: delta, in nats a token.
        damping: is added to the Fisher matrix's diagonal.
        iterations: of conjugate gradients (10 in the paper).
        backtracks: how many step sizes the line search tries; each is `shrink` times the one before.
        shrink: between 0 and 1.
        group: completions a prompt; at least 2.
        kl: the weight of the KL penalty to the reference in the return.
    """

    max_kl: float = 0.01
    damping: float = 0.01
    iterations: int = 10
    backtracks: int = 10
    shrink: float = 0.5
    group: int = 4
    kl: AdaptiveKL = field(default_factory=AdaptiveKL)
    epochs: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "logits"})

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ValueError(f"trpo compares the completions of one prompt: group must be at least 2, not {self.group}")
        if min(self.max_kl, self.damping) <= 0 or min(self.iterations, self.backtracks) < 1 or not 0 < self.shrink < 1:
            raise ValueError(
                f"trpo: max_kl and damping are above 0, iterations and backtracks at least 1, 0 < shrink < 1: {self}"
            )

    def advantages(self, rollout: Rollout) -> dict[str, Tensor]:
        """`advantages`, one number a completion, and `old_logprobs`, each (N, T)."""
        kl = k1(rollout.logprobs, rollout.reference_logprobs, rollout.mask).sum(1)
        returns = rollout.scores - rollout.kl_coefficient * kl
        advantages = leave_one_out(returns, rollout.prompt)
        return {"advantages": advantages[:, None] * rollout.mask, "old_logprobs": rollout.logprobs}

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Minus the mean over tokens of ratio * advantage; the constraint is the mean KL to the step's first policy.

        That policy's logits are kept in the batch as the label `old_logits` (N, T, V) when it is first read: at that
        point the KL is 0 and its second derivative the Fisher matrix, and later readings are measured against it.
        """
        assert outputs.logprobs is not None and outputs.logits is not None, "the loop gives what `needs` names"
        mask, labels = batch.completions.mask, batch.labels
        old = labels.setdefault("old_logits", outputs.logits.detach())
        ratio = torch.where(mask, outputs.logprobs - labels["old_logprobs"], 0.0).exp()
        value = -masked_mean(ratio * torch.where(mask, labels["advantages"], 0.0), mask)
        kl = mean_kl(old, outputs.logits, mask)
        return Loss(value, {"policy_loss": value.item()}, tokens_in(mask), constraint=kl)

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """What makes the step (`harken.algorithms.objective.OwnStep`)."""
        return TrustRegion((p for p in module.parameters() if p.requires_grad), self)


class TrustRegion(torch.optim.Optimizer):
    """Descends a loss as far as a constraint allows; remembers nothing between steps.

    Its one hyperparameter `lr` is 1, and multiplies `max_kl`: so a warm-up or a decay moves the size of the region.
    The closure's forward runs with torch's plain attention, whose gradient can be differentiated again (fused kernels'
    cannot).

    Args:
        parameters: what moves.
        settings: the method's.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], settings: TRPO):
        super().__init__(list(parameters), {"lr": 1.0})
        self.settings = settings

    def step(self, closure: Callable[[], Loss]) -> Loss:  # type: ignore[override]
        """One step, or none where no step size both improves the loss and keeps within the bound.

        1502.05477, appendix C: the direction x solves F x = -g; the first step tried is sqrt(2 delta / x F x) x.

        Args:
            closure: goes through the step's batches with the weights as they are now; its loss has a constraint, a KL.

        Returns:
            the loss after the step, with `trpo/kl`, `trpo/improvement` and `trpo/backtracks` in its metrics; the last
            is -1 if the weights stayed, bit for bit, as they were.

        Raises:
            ValueError: if the loss has no constraint.
            RuntimeError: if the constraint does not see that the weights moved.
        """
        parameters = [p for group in self.param_groups for p in group["params"]]
        bound = self.settings.max_kl * self.param_groups[0]["lr"]
        with sdpa_kernel(SDPBackend.MATH):
            with torch.enable_grad():
                before = closure()
                whole = self._first_step(before, parameters, bound)
            with torch.no_grad():
                return self._search(closure, before, parameters, whole, bound)

    def _first_step(self, loss: Loss, parameters: list[nn.Parameter], bound: float) -> Float[Tensor, " D"]:
        """The step to the edge of the region, by the constraint's second derivative; 0 if there is no slope."""
        if loss.constraint is None:
            raise ValueError("a trust region needs a loss with a constraint, and this one has none")

        def gradient(of: Tensor, again: bool = False) -> Tensor:
            found = torch.autograd.grad(of, parameters, retain_graph=True, create_graph=again, allow_unused=True)
            pairs = zip(found, parameters, strict=True)
            return torch.cat([(torch.zeros_like(p) if slope is None else slope).flatten() for slope, p in pairs])

        slope = gradient(loss.value)
        rise = gradient(loss.constraint, again=True)

        def fisher(vector: Tensor) -> Tensor:
            return gradient(rise @ vector) + self.settings.damping * vector

        direction = conjugate_gradient(fisher, -slope, self.settings.iterations)
        curvature = float(direction @ fisher(direction))
        if not (math.isfinite(curvature) and curvature > 0):
            return torch.zeros_like(slope)
        return math.sqrt(2 * bound / curvature) * direction

    def _search(
        self, closure: Callable[[], Loss], before: Loss, parameters: list[nn.Parameter], whole: Tensor, bound: float
    ) -> Loss:
        """The largest of the shrinking steps that improves the loss and holds the bound."""
        start = [parameter.detach().clone() for parameter in parameters]
        moves = [part.view_as(p) for part, p in zip(whole.split([p.numel() for p in start]), start, strict=True)]
        tries = self.settings.backtracks if whole.any() else 0
        for attempt in range(tries):
            for parameter, old, move in zip(parameters, start, moves, strict=True):
                parameter.copy_(old + self.settings.shrink**attempt * move)
            after = closure()
            assert after.constraint is not None, "the first call's loss had one"
            kl, gain = float(after.constraint), float(before.value - after.value)
            if attempt == 0 and kl == 0 and abs(gain) > 0:
                raise RuntimeError(
                    "the weights moved and the KL stayed 0: every call of the closure must be given the same batches, "
                    "with the labels that the first call left in them (or max_kl is below the weights' precision)"
                )
            if gain > 0 and kl <= bound:
                return _told(after, kl, gain, attempt)
        for parameter, old in zip(parameters, start, strict=True):
            parameter.copy_(old)
        return _told(before, 0.0, 0.0, -1)


def _told(loss: Loss, kl: float, gain: float, backtracks: int) -> Loss:
    figures = {"trpo/kl": kl, "trpo/improvement": gain, "trpo/backtracks": float(backtracks)}
    return replace(loss, metrics=loss.metrics | figures)
