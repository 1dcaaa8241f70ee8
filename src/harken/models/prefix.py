"""The shared-prefix forward: each prompt once, its completions from its cache.

Prompts go through the trunk with a cache under autograd; completions continue from the row of their prompt, so
gradients of all completions flow back into the one pass over it. Exact: the log-probabilities and gradients are those
of full rows (tests/models/test_prefix.py). Where a cache cannot be shared, `plain_states` computes the full rows.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import Cache, PreTrainedModel

from harken.data.batch import Completions, Prompts
from harken.models.architectures.architecture import start_of
from harken.models.architectures.find import architecture_of
from harken.models.attention import attends_in_groups, groups_of
from harken.models.cache import branch
from harken.models.last_layer import only_last_token


@dataclass(frozen=True)
class Prefix:
    """P prompts, computed.

    Attributes:
        last: the hidden state of each prompt's last token, (P, D).
        cache: what the layers remember of them.
        start: the position of each prompt's first completion token, (P,).
    """

    last: Float[Tensor, "P D"]
    cache: Cache
    start: Int[Tensor, " P"]


def attention_mask(mask: Bool[Tensor, "N T"]) -> Tensor | None:
    """What transformers takes: nothing where nothing is padded (it is quicker without), ones and zeros otherwise."""
    return None if bool(mask.all()) else mask.long()


def prefill(trunk: PreTrainedModel, prompts: Prompts, cache: Cache | None, short: bool = False) -> Prefix:
    """Run P prompts once.

    Args:
        trunk: the model.
        prompts: what is asked.
        cache: what to fill; None for the model's own kind.
        short: whether the last layer computes only what completions read (`models/last_layer.py`).
    """
    positions = architecture_of(trunk).positions(trunk, prompts)
    with only_last_token(trunk, short):
        out = trunk.base_model(
            input_ids=prompts.ids,
            # Families whose own code reads the mask (Qwen2-Audio) want it always.
            attention_mask=prompts.mask.long(),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **prompts.per_token,
            **prompts.media,
        )
    return Prefix(out.last_hidden_state[:, -1], out.past_key_values, start_of(positions, prompts.mask))


@dataclass(frozen=True)
class Kept:
    """A prefix that was computed with its graph, for the first update with the weights that it was computed with.

    Attributes:
        prompts: whose it is.
        prefix: the prompts, computed.
        versions: how often each weight had been changed then.
    """

    prompts: Prompts
    prefix: Prefix
    versions: tuple[int, ...]

    def fits(self, trunk: PreTrainedModel, prompts: Prompts) -> bool:
        """Whether these are the same prompts, media included, and the same weights."""
        mine = self.prompts
        if prompts.ids.shape != mine.ids.shape or prompts.media_keys != mine.media_keys:
            return False
        counts = zip(*(counts.tolist() for counts in prompts.placeholders.values()), strict=True)
        unnamed = any(sum(row) and not key for row, key in zip(counts, prompts.media_keys, strict=False))
        if unnamed or self.versions != versions_of(trunk):
            return False
        return bool((prompts.ids == mine.ids).all()) and bool((prompts.mask == mine.mask).all())


def versions_of(trunk: PreTrainedModel) -> tuple[int, ...]:
    """How often each weight was changed in place."""
    return tuple(parameter._version for parameter in trunk.parameters())


def shared_states(
    trunk: PreTrainedModel, prompts: Prompts, completions: Completions, prefix: Prefix
) -> Float[Tensor, "N T1 D"]:
    """Hidden states along N completions, the prompts computed once.

    Args:
        trunk: the model.
        prompts: P prompts.
        completions: N completions.
        prefix: the prompts, computed.

    Returns:
        (N, T + 1, D): entry t is the state before token t of the completion (it predicts token t), the last one is the
        state after its last position.
    """
    rows = completions.prompt
    past = prompts.mask.index_select(0, rows)
    steps = torch.arange(completions.ids.shape[1], device=rows.device)
    # Completions are padded on the right, where a causal model does not look: only the prompts' padding is masked.
    mask = torch.cat([past, torch.ones_like(completions.mask)], 1)
    out = trunk.base_model(
        input_ids=completions.ids,
        attention_mask=attention_mask(mask),
        position_ids=prefix.start.index_select(0, rows)[:, None] + steps,
        past_key_values=branch(prefix.cache, groups_of(rows, len(prompts.ids)), attends_in_groups(trunk)),
        use_cache=True,
    )
    return torch.cat([prefix.last.index_select(0, rows)[:, None], out.last_hidden_state], 1)


def plain_states(trunk: PreTrainedModel, prompts: Prompts, completions: Completions) -> Float[Tensor, "N T1 D"]:
    """The same states from N full rows, each prompt computed again for each of its completions: no cache at all.

    Args:
        trunk: the model.
        prompts: the prompt of each completion, N of them (see `select_prompts`).
        completions: N completions.
    """
    positions = architecture_of(trunk).positions(trunk, prompts)
    start = start_of(positions, prompts.mask)
    steps = start[:, None] + torch.arange(completions.ids.shape[1], device=start.device)
    per_token = {
        name: torch.cat([tensor, torch.zeros_like(completions.ids, dtype=tensor.dtype)], 1)
        for name, tensor in prompts.per_token.items()
    }
    out = trunk.base_model(
        input_ids=torch.cat([prompts.ids, completions.ids], 1),
        attention_mask=torch.cat([prompts.mask, completions.mask], 1).long(),
        position_ids=torch.cat([positions, steps.expand(*positions.shape[:-1], -1)], -1),
        use_cache=False,
        **per_token,
        **prompts.media,
    )
    return out.last_hidden_state[:, prompts.ids.shape[1] - 1 :]
