"""Log-probabilities and entropy of completions, at the positions that are needed and no others."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CHUNK = 2048


def at_least_float32(values: Float[Tensor, "*B V"]) -> Float[Tensor, "*B V"]:
    """Half precision is too coarse for a sum over the vocabulary."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def suppress(logits: Float[Tensor, "*B V"], ids: Sequence[int]) -> Float[Tensor, "*B V"]:
    """Logits with some tokens made impossible: a policy never writes a medium's placeholder.

    The value is finite, so that p log p stays 0 there and not a NaN.
    """
    if not ids:
        return logits
    return logits.index_fill(-1, torch.tensor(list(ids), device=logits.device), torch.finfo(logits.dtype).min)


def logprobs_and_entropy(
    states: Float[Tensor, "N T D"],
    head: torch.nn.Module,
    ids: Int[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    suppressed: Sequence[int],
    *,
    temperature: float = 1.0,
    entropy: bool = False,
) -> tuple[Float[Tensor, "N T"], Float[Tensor, "N T"] | None]:
    """Log-probability of each token given the state before it, and the distribution's entropy.

    Args:
        states: hidden state before each token.
        head: the language head, D -> V; applied where the mask is on, and nowhere else.
        ids: the tokens.
        mask: which tokens count; the result is 0 elsewhere.
        suppressed: ids that the policy cannot write.
        temperature: of the policy that sampled.
        entropy: whether to compute the entropy too.
    """
    wanted, targets = states[mask], ids[mask]
    parts, entropies = [], []
    for start in range(0, max(len(targets), 1), CHUNK):
        logits = suppress(at_least_float32(head(wanted[start : start + CHUNK])) / temperature, suppressed)
        logp = logits.log_softmax(-1)
        parts.append(logp.gather(-1, targets[start : start + CHUNK, None])[:, 0])
        if entropy:
            entropies.append(-(logp.exp() * logp).sum(-1))
    # masked_scatter keeps the graph and needs no (N, T, V) tensor.
    zeros = parts[0].new_zeros(ids.shape)
    logprobs = zeros.masked_scatter(mask, torch.cat(parts))
    return logprobs, zeros.masked_scatter(mask, torch.cat(entropies)) if entropy else None
