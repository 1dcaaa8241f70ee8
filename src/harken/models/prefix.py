"""The shared-prefix forward: each prompt once, its completions from its expanded cache.

Prompts go through the trunk with `use_cache=True` under autograd; the cache's rows are then selected by
`Completions.prompt`, so gradients of all completions flow back into the one pass over their prompt. Exact: the
log-probabilities and gradients are those of full rows (tests/models/test_prefix.py).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import Cache, PreTrainedModel

from harken.data.batch import Batch, Prompts


def positions_of(mask: Bool[Tensor, "P T"]) -> Int[Tensor, "P T"]:
    """Positions of left-padded rows: 0 at the first real token."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def prefill(trunk: PreTrainedModel, prompts: Prompts) -> tuple[Float[Tensor, "P D"], Cache]:
    """Run P prompts once.

    Returns:
        the hidden state of each prompt's last token, (P, D), and the cache of P rows.
    """
    out = trunk.base_model(
        input_ids=prompts.ids,
        attention_mask=prompts.mask.long(),
        position_ids=positions_of(prompts.mask),
        use_cache=True,
        **prompts.per_token,
        **prompts.media,
    )
    return out.last_hidden_state[:, -1], out.past_key_values


def completion_states(trunk: PreTrainedModel, batch: Batch) -> Float[Tensor, "N T1 D"]:
    """Hidden states along N completions, the prompts computed once.

    Returns:
        (N, T + 1, D): entry t is the state before token t of the completion (it predicts token t), the last one is the
        state after its last position.
    """
    prompts, completions = batch.prompts, batch.completions
    rows = completions.prompt
    last, cache = prefill(trunk, prompts)
    cache.batch_select_indices(rows)
    prefix = prompts.mask.index_select(0, rows)
    steps = torch.arange(completions.ids.shape[1], device=rows.device)
    out = trunk.base_model(
        input_ids=completions.ids,
        attention_mask=torch.cat([prefix, completions.mask], 1).long(),
        position_ids=prefix.sum(1, keepdim=True) + steps,
        past_key_values=cache,
        use_cache=True,
    )
    return torch.cat([last.index_select(0, rows)[:, None], out.last_hidden_state], 1)
