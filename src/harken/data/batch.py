"""The one batch layout: P prompts, each with its completions. The only place that pads.

A prompt (its media included) is computed once; `Completions.prompt` says which prompt each of the N completions
continues, so groups may be ragged. Prompts are padded on the left, so that completions continue them;
completions are padded on the right. Supervised training has one completion a prompt, comparisons two,
group methods G.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from harken.data.tensors import bytes_of


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt as its processor made it, before padding.

    Attributes:
        ids: token ids, placeholders of media included, (T,).
        per_token: further tensors with one entry a token (token types and the like), each (T,).
        media: opaque keyword tensors of the model, rows of all media first, each (rows, ...).
        placeholders: how many placeholder tokens each modality has in `ids`.
        media_key: content hash of all media tensors (`media_key`); empty without media.
    """

    ids: Int[Tensor, " T"]
    per_token: Mapping[str, Tensor] = field(default_factory=dict)
    media: Mapping[str, Tensor] = field(default_factory=dict)
    placeholders: Mapping[str, int] = field(default_factory=dict)
    media_key: str = ""


def media_key(media: Mapping[str, Tensor]) -> str:
    """A content hash of media tensors; empty if there are none."""
    if not media:
        return ""
    out = hashlib.sha256()
    for name, tensor in sorted(media.items()):
        out.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        out.update(bytes_of(tensor))
    return out.hexdigest()[:32]


@dataclass(frozen=True)
class Prompts:
    """P prompts, padded on the left.

    Attributes:
        ids: (P, T).
        mask: which are tokens, (P, T).
        per_token: further tensors, each (P, T).
        media: the prompts' media tensors, one below the other.
        placeholders: how many placeholder tokens of each modality each prompt has, (P,).
        media_rows: how many rows of each media tensor belong to each prompt, (P,).
        media_keys: the content hash of each prompt's media.
    """

    ids: Int[Tensor, "P T"]
    mask: Bool[Tensor, "P T"]
    per_token: dict[str, Tensor]
    media: dict[str, Tensor]
    placeholders: dict[str, Int[Tensor, " P"]]
    media_rows: dict[str, Int[Tensor, " P"]] = field(default_factory=dict)
    media_keys: tuple[str, ...] = ()

    def to(self, device: torch.device) -> "Prompts":
        """The same prompts on another device."""
        return Prompts(
            self.ids.to(device),
            self.mask.to(device),
            {k: v.to(device) for k, v in self.per_token.items()},
            {k: v.to(device) for k, v in self.media.items()},
            {k: v.to(device) for k, v in self.placeholders.items()},
            {k: v.to(device) for k, v in self.media_rows.items()},
            self.media_keys,
        )


@dataclass(frozen=True)
class Completions:
    """N completions, padded on the right; `prompt[n]` is the row of the prompt that n continues."""

    ids: Int[Tensor, "N T"]
    mask: Bool[Tensor, "N T"]
    prompt: Int[Tensor, " N"]


@dataclass(frozen=True)
class Batch:
    """What every model takes and every loss reads.

    `labels` holds what a loss needs besides: tensors named by the loss, such as `advantages` (N, T).
    """

    prompts: Prompts
    completions: Completions
    labels: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        c = self.completions
        return Batch(
            prompts=self.prompts.to(device),
            completions=Completions(c.ids.to(device), c.mask.to(device), c.prompt.to(device)),
            labels={name: tensor.to(device) for name, tensor in self.labels.items()},
        )


@dataclass(frozen=True)
class Outputs:
    """What a model says of a batch; a loss names what it needs, the rest stays None.

    Shapes: `logprobs`, `entropy`, `values` (N, T), aligned with `Completions.ids`, 0 where the mask is off
    (`logprobs[n, t]` is of token t; `values[n, t]` is of the state before token t); `scores` (N, K), one
    a member of the reward ensemble; `token_scores` (N, T + 1, K), the same after 0, 1, ... tokens of each
    completion (beyond its last token they mean nothing); `logits` (N, T, V) at the policy's temperature, before each
    token, for small models and small vocabularies only; `heads` holds what a family model's other heads say, by
    `head.output`, with a row for each completion (for each prompt, where there are no completions).
    """

    logprobs: Float[Tensor, "N T"] | None = None
    entropy: Float[Tensor, "N T"] | None = None
    values: Float[Tensor, "N T"] | None = None
    scores: Float[Tensor, "N K"] | None = None
    logits: Float[Tensor, "N T V"] | None = None
    token_scores: Float[Tensor, "N T1 K"] | None = None
    heads: Mapping[str, Tensor] | None = None


def pad_right(rows: Sequence[Tensor], fill: int | float = 0, length: int | None = None) -> Tensor:
    """Rows of different length, (T_i, ...), as one tensor (N, T, ...) filled on the right."""
    longest = max([len(row) for row in rows], default=0) if length is None else length
    out = rows[0].new_full((len(rows), longest, *rows[0].shape[1:]), fill)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def pad_left(rows: Sequence[Tensor], fill: int | float = 0) -> Tensor:
    """Rows of different length, (T_i,), as one tensor (N, T) filled on the left."""
    longest = max(len(row) for row in rows)
    out = rows[0].new_full((len(rows), longest), fill)
    for i, row in enumerate(rows):
        out[i, longest - len(row) :] = row
    return out


def stack_media(tensors: Sequence[Tensor]) -> Tensor:
    """Media tensors (rows_i, ...) one below the other; inner axes that differ are zero-filled on the right.

    Raises:
        ValueError: if the tensors have different numbers of axes.
    """
    if len({t.dim() for t in tensors}) > 1:
        raise ValueError(f"media tensors of one name differ in their axes: {[tuple(t.shape) for t in tensors]}")
    inner = [max(sizes) for sizes in zip(*(t.shape[1:] for t in tensors), strict=True)]
    if all(list(t.shape[1:]) == inner for t in tensors):
        return torch.cat(list(tensors))
    out = tensors[0].new_zeros((sum(len(t) for t in tensors), *inner))
    row = 0
    for t in tensors:
        out[(slice(row, row + len(t)), *(slice(0, n) for n in t.shape[1:]))] = t
        row += len(t)
    return out


def collate_prompts(prompts: Sequence[EncodedPrompt], pad_id: int) -> Prompts:
    """P encoded prompts, padded on the left, their media one below the other."""
    names = sorted({name for p in prompts for name in p.media})
    per_token = sorted({name for p in prompts for name in p.per_token})
    modalities = sorted({name for p in prompts for name in p.placeholders})
    return Prompts(
        ids=pad_left([p.ids for p in prompts], pad_id),
        mask=pad_left([torch.ones_like(p.ids, dtype=torch.bool) for p in prompts]),
        per_token={name: pad_left([p.per_token[name] for p in prompts]) for name in per_token},
        media={name: stack_media([p.media[name] for p in prompts if name in p.media]) for name in names},
        media_rows={
            name: torch.tensor([len(p.media[name]) if name in p.media else 0 for p in prompts]) for name in names
        },
        placeholders={m: torch.tensor([p.placeholders.get(m, 0) for p in prompts]) for m in modalities},
        media_keys=tuple(p.media_key for p in prompts),
    )


def select_prompts(prompts: Prompts, rows: Int[Tensor, " N"]) -> Prompts:
    """The prompts of N rows, each with its media, as often as it is named."""
    media, media_rows = {}, {}
    for name, tensor in prompts.media.items():
        counts = prompts.media_rows[name]
        ends = counts.cumsum(0)
        parts = [
            torch.arange(end - count, end, device=tensor.device)
            for end, count in zip(ends[rows].tolist(), counts[rows].tolist(), strict=True)
        ]
        media[name] = tensor.index_select(0, torch.cat(parts))
        media_rows[name] = counts[rows]
    return Prompts(
        ids=prompts.ids.index_select(0, rows),
        mask=prompts.mask.index_select(0, rows),
        per_token={name: tensor.index_select(0, rows) for name, tensor in prompts.per_token.items()},
        # A tensor without a row is no medium at all: a model would take it for an empty batch of pictures.
        media={name: tensor for name, tensor in media.items() if len(tensor)},
        media_rows={name: media_rows[name] for name in media if len(media[name])},
        placeholders={name: counts[rows] for name, counts in prompts.placeholders.items()},
        media_keys=tuple(prompts.media_keys[row] for row in rows.tolist()),
    )


def collate(
    prompts: Sequence[EncodedPrompt],
    completions: Sequence[Tensor],
    prompt: Sequence[int],
    pad_id: int,
    labels: Mapping[str, Tensor] | None = None,
) -> Batch:
    """The batch of P prompts and N completions.

    Args:
        prompts: P encoded prompts.
        completions: N rows of token ids, each (T_n,), with the end-of-turn token where the completion ended.
        prompt: for each completion the row of its prompt.
        pad_id: the id that fills.
        labels: tensors for the loss.

    Raises:
        ValueError: if a completion is empty, or names a prompt that is not there.
    """
    if len(completions) != len(prompt):
        raise ValueError(f"{len(completions)} completions, but {len(prompt)} prompt rows for them")
    for n, (ids, row) in enumerate(zip(completions, prompt, strict=True)):
        if not 0 <= row < len(prompts):
            raise ValueError(f"completion {n} names prompt row {row}, but there are {len(prompts)} prompts")
        if not len(ids):
            raise ValueError(f"completion {n} has no tokens; an empty answer is at least its end-of-turn token")
    return Batch(
        prompts=collate_prompts(prompts, pad_id),
        completions=Completions(
            ids=pad_right(completions, pad_id),
            mask=pad_right([torch.ones_like(c, dtype=torch.bool) for c in completions]),
            prompt=torch.tensor(list(prompt), dtype=torch.long),
        ),
        labels=dict(labels or {}),
    )


def collate_examples(prompts: Sequence[EncodedPrompt], pad_id: int, labels: Mapping[str, Tensor]) -> Batch:
    """The batch of P prompts that nobody answers in words: what heads learn from.

    Args:
        prompts: P encoded prompts.
        pad_id: the id that fills.
        labels: targets by head, each with P rows.
    """
    none = torch.zeros(len(prompts), 0, dtype=torch.long)
    return Batch(
        prompts=collate_prompts(prompts, pad_id),
        completions=Completions(ids=none, mask=none.bool(), prompt=torch.arange(len(prompts))),
        labels=dict(labels),
    )
