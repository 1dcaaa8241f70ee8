"""How far a policy has moved from its reference, estimated from the policy's own samples."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, slots=True)
class SequenceKL:
    """KL(policy || reference) in nats a sequence, by two estimators, with standard errors of the mean.

    Attributes:
        k1: mean of log(policy / reference).
        k1_error: its standard error; NaN with one sequence.
        k3: mean of the estimator that is never negative.
        k3_error: its standard error; NaN with one sequence.
        sequences: how many.
    """

    k1: float
    k1_error: float
    k3: float
    k3_error: float
    sequences: int


def sequence_kl(
    policy: Float[np.ndarray, "N T"], reference: Float[np.ndarray, "N T"], mask: Bool[np.ndarray, "N T"]
) -> SequenceKL:
    """Mean KL(policy || reference) of sequences that were drawn from the policy.

    With r = log reference - log policy of a sampled token, summed over a sequence's tokens: k1 = -r and
    k3 = exp(r) - 1 - r (Schulman 2020, joschu.net/blog/kl-approx). Both are unbiased, since every token was
    drawn from the policy given what came before it; k3 usually varies less.

    Args:
        policy: (N, T) log-probabilities of the sampled tokens under the policy, in nats.
        reference: (N, T) under the reference.
        mask: (N, T) which tokens were sampled; what lies outside may be anything.

    Raises:
        ValueError: no sequences, or a sampled token whose log-probability is not finite.
    """
    if mask.shape[0] == 0:
        raise ValueError("no sequences: KL needs at least one sample of the policy")
    for name, logprobs in (("policy", policy), ("reference", reference)):
        if not np.isfinite(logprobs[mask]).all():
            row, token = np.argwhere(mask & ~np.isfinite(logprobs))[0]
            raise ValueError(f"{name}[{row}, {token}] is {logprobs[row, token]}: a sampled token has a finite logprob")
    r = np.where(mask, reference, 0.0).astype(np.float64) - np.where(mask, policy, 0.0).astype(np.float64)
    k1 = -r.sum(axis=1)
    k3 = (np.expm1(r) - r).sum(axis=1)
    return SequenceKL(float(k1.mean()), standard_error(k1), float(k3.mean()), standard_error(k3), mask.shape[0])


def standard_error(values: Float[np.ndarray, " N"]) -> float:
    """Of the mean; NaN where one value leaves it open."""
    return float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")


def kl_of_best_of(n: int) -> float:
    """log n - (n - 1) / n, in nats a completion: how far the best of n is from who sampled it (2009.01325, G.3).

    Exact where no two completions have the same score, and an upper bound where some have (2401.01879).
    """
    return math.log(n) - (n - 1) / n
