"""Log-probabilities and entropy of completions, at the positions that are needed and no others.

No (N, T, V) tensor: the language head is applied to the wanted states alone, a part of them at a time, and where
keeping the parts' logits for the backward pass would be large, each part is computed again there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

PART_BYTES = 32 << 20
"""Logits that are worked on at a time, in bytes."""
IMPOSSIBLE = -1e9
"""The logit of what cannot be written."""
KEPT_BYTES = 64 << 20
"""Logits that may be kept for the backward pass, in bytes."""


def at_least_float32(values: Float[Tensor, "*B V"]) -> Float[Tensor, "*B V"]:
    """Half precision is too coarse for a sum over the vocabulary."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@dataclass(frozen=True)
class LanguageHead:
    """From hidden states to logits at the policy's temperature.

    Attributes:
        module: the model's output embedding, D -> V.
        suppressed: ids that it cannot write (the placeholders of media).
        temperature: divides the logits.
        cap: logits are held within +-cap by a tanh, where the model does so (2408.00118, section 2).
    """

    module: torch.nn.Module
    suppressed: Int[Tensor, " S"]
    temperature: float = 1.0
    cap: float | None = None

    def __call__(self, states: Float[Tensor, "*B D"]) -> Float[Tensor, "*B V"]:
        """Logits of states, in single precision or better.

        Suppressed ones get a number whose exponential is 0 and whose products stay finite, in p log p and its gradient.
        """
        logits = at_least_float32(self.module(states))
        if self.cap is not None:
            logits = torch.tanh(logits / self.cap) * self.cap
        if self.temperature not in (0.0, 1.0):
            logits = logits / self.temperature
        if len(self.suppressed):
            logits = logits.index_fill_(-1, self.suppressed, IMPOSSIBLE)  # in place: nobody else holds these logits
        return logits

    @property
    def weight(self) -> Float[Tensor, "V D"]:
        """The module's matrix."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def plain(self) -> bool:
        """Whether it is one matrix and nothing else."""
        return type(self.module) is torch.nn.Linear and self.module.bias is None and self.cap is None


def language_head(trunk: PreTrainedModel, suppressed: Sequence[int], temperature: float) -> LanguageHead:
    """The head of a model, with what its configuration says of its logits."""
    config = trunk.config.get_text_config(decoder=True)
    cap = getattr(config, "final_logit_softcapping", None)  # Hugging Face's: not every family has it
    device = next(trunk.parameters()).device
    ids = torch.tensor(list(suppressed), dtype=torch.long, device=device)
    return LanguageHead(trunk.get_output_embeddings(), ids, temperature, cap)


class _ComputedAgain(torch.autograd.Function):
    """Log-probability and entropy of M tokens, a part at a time, their logits computed again in the backward pass.

    With p the distribution, l its logarithm and H its entropy: d log p[y] / dz = 1[y] - p and
    dH / dz = -p (l + H); z is linear in the states.
    """

    @staticmethod
    def forward(ctx, states, weight, ids, head, entropy, size):  # type: ignore[no-untyped-def]
        made = [_part(states[i : i + size], ids[i : i + size], head, entropy) for i in range(0, len(ids), size)]
        logprobs, spread, total = (torch.cat(parts) for parts in zip(*made, strict=True))
        ctx.save_for_backward(states, weight, ids, total, spread)
        ctx.head, ctx.entropy, ctx.size = head, entropy, size
        return logprobs, spread

    @staticmethod
    def backward(ctx, by_logprob, by_entropy):  # type: ignore[no-untyped-def]
        states, weight, ids, total, spread = ctx.saved_tensors
        by_states = torch.empty_like(states)
        by_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for i in range(0, len(ids), ctx.size):
            part = slice(i, i + ctx.size)
            logp = ctx.head(states[part]).sub_(total[part, None])
            by_logit = logp.exp()
            if ctx.entropy:
                logp.add_(spread[part, None]).mul_(by_logit).mul_(by_entropy[part, None])
            by_logit.mul_(-by_logprob[part, None])
            if ctx.entropy:
                by_logit.sub_(logp)
            by_logit.scatter_add_(-1, ids[part, None], by_logprob[part, None])
            if ctx.head.temperature not in (0.0, 1.0):
                by_logit.div_(ctx.head.temperature)
            if len(ctx.head.suppressed):
                by_logit.index_fill_(-1, ctx.head.suppressed, 0.0)
            by_logit = by_logit.to(weight.dtype)
            by_states[part] = by_logit @ weight
            if by_weight is not None:
                by_weight.addmm_(by_logit.T, states[part])
        return by_states, by_weight, None, None, None, None


def _part(states: Tensor, ids: Tensor, head: LanguageHead, entropy: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probability, entropy (0 if not wanted) and normaliser of some tokens."""
    logits = head(states)
    logp = logits.log_softmax(-1)
    logprobs = logp.gather(-1, ids[:, None])[:, 0]
    total = (logits.gather(-1, ids[:, None])[:, 0] - logprobs).detach()
    return logprobs, -(logp.exp() * logp).sum(-1) if entropy else torch.zeros_like(logprobs), total


def logprobs_and_entropy(
    states: Float[Tensor, "N T D"],
    head: LanguageHead,
    ids: Int[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    entropy: bool = False,
) -> tuple[Float[Tensor, "N T"], Float[Tensor, "N T"] | None]:
    """Log-probability of each token given the state before it, and the distribution's entropy.

    Args:
        states: hidden state before each token.
        head: the language head; applied where the mask is on, and nowhere else.
        ids: the tokens.
        mask: which tokens count; the result is 0 elsewhere.
        entropy: whether to compute the entropy too.
    """
    wanted, targets = states[mask], ids[mask]
    vocabulary = head.weight.shape[0]
    size = max(1, PART_BYTES // (4 * vocabulary))
    again = torch.is_grad_enabled() and 4 * vocabulary * len(targets) > KEPT_BYTES
    # Computed again by hand is in the weights' own type; autocast's is torch's business.
    if again and head.plain and not torch.is_autocast_enabled(states.device.type):
        logprobs, spread = _ComputedAgain.apply(wanted, head.weight, targets, head, entropy, size)
    else:
        made = []
        for start in range(0, max(len(targets), 1), size):
            part = (wanted[start : start + size], targets[start : start + size], head, entropy)
            made.append(checkpoint(_part, *part, use_reentrant=False) if again else _part(*part))
        logprobs, spread, _ = (torch.cat(parts) for parts in zip(*made, strict=True))
    # masked_scatter keeps the graph and needs no (N, T, V) tensor.
    zeros = logprobs.new_zeros(ids.shape)
    return zeros.masked_scatter(mask, logprobs), zeros.masked_scatter(mask, spread) if entropy else None
