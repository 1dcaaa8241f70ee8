"""Attention of completions to a prompt that is kept once, without spreading its keys and values over them.

Row n attends to the past of its prompt and to its own tokens. All rows of one prompt are one matrix of queries
against the prompt's keys, so that these are read once for a group and never copied; the two parts meet in one softmax
(the idea of 2402.05099, section 3). Equal to attention over spread keys up to rounding. Registered with transformers
as `harken`; whatever else a model attends to goes to torch's own kernels.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "harken"
SCORES_BYTES = 256 << 20
"""Attention scores of one layer that may be held at once, in bytes; above it the kernels that hold none are used."""


@dataclass(frozen=True)
class Groups:
    """Which rows continue which prompt.

    Attributes:
        rows: the prompt of each row, (N,).
        slots: the rows of each prompt, padded to the largest group, (P, G); None where they are 0, 1, 2 ...
        place: where each row stands in `slots`, flattened, (N,); None as above.
        size: P and G.
    """

    rows: Int[Tensor, " N"]
    slots: Int[Tensor, "P G"] | None
    place: Int[Tensor, " N"] | None
    size: tuple[int, int]


def groups_of(rows: Int[Tensor, " N"], prompts: int) -> Groups:
    """The rows of each prompt, in their order."""
    counts = torch.bincount(rows, minlength=prompts)
    largest = int(counts.max())
    order = rows.argsort(stable=True)
    start = counts.cumsum(0) - counts
    place = torch.empty_like(rows)
    place[order] = torch.arange(len(rows), device=rows.device) - start[rows[order]] + largest * rows[order]
    if len(rows) == prompts * largest and bool((place == torch.arange(len(rows), device=rows.device)).all()):
        return Groups(rows, None, None, (prompts, largest))
    slots = torch.zeros(prompts * largest, dtype=torch.long, device=rows.device)
    slots[place] = torch.arange(len(rows), device=rows.device)
    return Groups(rows, slots.view(prompts, largest), place, (prompts, largest))


@dataclass(frozen=True)
class Spread:
    """Keys (or values) of N rows: those of their prompts, kept once, and their own.

    Attributes:
        past: of the prompts, (P, H, T, D).
        own: of the rows' tokens, (N, H, S, D).
        groups: which row continues which prompt.
    """

    past: Float[Tensor, "P H T D"]
    own: Float[Tensor, "N H S D"]
    groups: Groups

    def whole(self) -> Float[Tensor, "N H L D"]:
        """Spread over the rows, as any attention takes them."""
        return torch.cat([self.past.index_select(0, self.groups.rows), self.own], 2)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor | Spread,
    value: Tensor | Spread,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """What transformers calls: (N, H, S, D) queries to (N, S, H, D) outputs, and no weights."""
    if isinstance(key, Tensor) or isinstance(value, Tensor):
        assert isinstance(key, Tensor) and isinstance(value, Tensor), "a cache layer gives both or none"
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    _, heads, length, width = query.shape
    prompts, largest = key.groups.size
    held = 4 * prompts * largest * heads * length * (key.past.shape[2] + key.own.shape[2])
    if held > SCORES_BYTES or query.is_cuda or kwargs.get("softcap") is not None or kwargs.get("s_aux") is not None:
        return sdpa_attention_forward(
            module, query, key.whole(), value.whole(), attention_mask, dropout, scaling, is_causal=False, **kwargs
        )
    return grouped_attention(query, key, value, attention_mask, scaling or width**-0.5), None


def grouped_attention(
    query: Float[Tensor, "N H S D"],
    key: Spread,
    value: Spread,
    mask: Bool[Tensor, "M 1 S L"] | None,
    scaling: float,
) -> Float[Tensor, "N S H E"]:
    """Attention of rows to their prompts and to themselves.

    Args:
        query: of the rows' tokens.
        key: of prompts and rows.
        value: of prompts and rows.
        mask: what may be looked at, over the prompt's tokens and then the row's; None for all.
        scaling: of the products of queries and keys.
    """
    n, heads, length, width = query.shape
    _, shared, past, _ = key.past.shape
    groups, each = key.groups, heads // key.past.shape[1]
    query = query * scaling
    # bmm on flattened batches takes slices as they lie; matmul on four axes would copy them.
    to_past = torch.bmm(_by_prompt(query, groups, shared), key.past.flatten(0, 1).transpose(1, 2))
    to_past = _by_row(to_past, groups, (heads, length, past))
    to_own = torch.bmm(query.reshape(n * shared, each * length, width), key.own.flatten(0, 1).transpose(1, 2))
    scores = torch.cat([to_past, to_own.view(n, heads, length, -1)], -1)
    if mask is not None:
        scores = scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(query.dtype)
    from_past = torch.bmm(_by_prompt(weights[..., :past], groups, shared), value.past.flatten(0, 1))
    from_own = torch.bmm(weights[..., past:].reshape(n * shared, each * length, -1), value.own.flatten(0, 1))
    shape = (heads, length, value.past.shape[3])
    out = _by_row(from_past, groups, shape) + from_own.view(n, *shape)
    return out.transpose(1, 2).contiguous()


def _by_prompt(rows: Float[Tensor, "N H S X"], groups: Groups, shared: int) -> Float[Tensor, "B R X"]:
    """(N, H, S, X) to (P * K, G * H/K * S, X): all that meets one prompt's K key heads, in one matrix each."""
    if groups.slots is not None:
        rows = rows.index_select(0, groups.slots.flatten())
    prompts, largest = groups.size
    _, heads, length, width = rows.shape
    split = rows.reshape(prompts, largest, shared, heads // shared * length, width).transpose(1, 2)
    return split.reshape(prompts * shared, -1, width)


def _by_row(met: Float[Tensor, "B R X"], groups: Groups, shape: tuple[int, int, int]) -> Float[Tensor, "N H S X"]:
    """Back from `_by_prompt`."""
    prompts, largest = groups.size
    rows = met.view(prompts, len(met) // prompts, largest, -1, met.shape[-1]).transpose(1, 2)
    rows = rows.reshape(prompts * largest, *shape)
    return rows if groups.place is None else rows.index_select(0, groups.place)


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def attends_in_groups(trunk: PreTrainedModel) -> bool:
    """Whether a model's decoder uses this attention."""
    return trunk.get_decoder().config._attn_implementation == NAME


def use_grouped_attention(trunk: PreTrainedModel) -> None:
    """Have a model's decoder attend by `attention`, if all of its attention goes through transformers' interface."""
    if trunk._supports_attention_backend and trunk.config._attn_implementation == "sdpa":
        # An encoder with attention of its own (Gemma 4's ear) keeps it: its masks have another form.
        parts = {name: getattr(trunk.config, name) for name in trunk.config.sub_configs}
        same = [name for name, part in parts.items() if part is not None and part._attn_implementation == "sdpa"]
        trunk.set_attn_implementation({"": NAME, **dict.fromkeys(same, NAME)})
