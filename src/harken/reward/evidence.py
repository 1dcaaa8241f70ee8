"""Rewards that rest on what a model finds likely: fluency, and relevance to the medium."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Evidence:
    """How likely the reference finds each token of N completions.

    Attributes:
        mask: which positions hold a token of the completion, (N, T).
        reference_logprobs: log-probabilities, in nats, (N, T).
        blind_logprobs: the same of the same tokens, where the prompt's media were blanked or left out, (N, T); None if
            no rule asks for them.
    """

    mask: Bool[Tensor, "N T"]
    reference_logprobs: Float[Tensor, "N T"]
    blind_logprobs: Float[Tensor, "N T"] | None = None


def fluency(evidence: Evidence) -> Float[Tensor, " N"]:
    """Mean log-likelihood a token under the reference, in nats; at most 0. A completion without tokens gets 0."""
    return _mean(evidence.reference_logprobs, evidence.mask)


def relevance(evidence: Evidence) -> Float[Tensor, " N"]:
    """How much the medium tells about the text: pointwise mutual information a token, in nats.

    mean_t log p(y_t | y_<t, text, medium) - log p(y_t | y_<t, text): the criterion of 1510.03055 (maximum mutual
    information) per token, with the medium as what is answered to. 0 for an answer that is as likely without the
    medium, below 0 for one that the medium speaks against.

    Raises:
        ValueError: if the evidence holds no `blind_logprobs`.
    """
    if evidence.blind_logprobs is None:
        raise ValueError("relevance compares with the same prompt without its media: evidence needs `blind_logprobs`")
    return _mean(evidence.reference_logprobs, evidence.mask) - _mean(evidence.blind_logprobs, evidence.mask)


def _mean(logprobs: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, logprobs, 0.0).sum(1) / mask.sum(1).clamp(min=1)


@dataclass(frozen=True)
class EvidenceRule:
    """A rule over evidence.

    Attributes:
        score: one number a completion.
        needs: the fields of `Evidence` that it reads, besides the mask.
    """

    score: Callable[[Evidence], Tensor]
    needs: frozenset[str]


EVIDENCE_RULES: Mapping[str, EvidenceRule] = MappingProxyType(
    {
        "fluency": EvidenceRule(fluency, frozenset({"reference_logprobs"})),
        "relevance": EvidenceRule(relevance, frozenset({"reference_logprobs", "blind_logprobs"})),
    }
)
"""The rules over evidence that a recipe can name."""
