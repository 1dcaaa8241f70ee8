"""The hidden state before the next token of N completions, token by token, in either layout."""

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from harken.data.batch import Prompts
from harken.models.attention import attends_in_groups, groups_of
from harken.models.cache import RoomyLayer, roomy
from harken.models.prefix import Prefix, prefill


class Decoder(Protocol):
    """N completions being written. `states` (N, D) is what the next tokens are chosen from."""

    states: Float[Tensor, "N D"]

    def step(self, tokens: Int[Tensor, " N"], going: Int[Tensor, " N"] | None) -> None:
        """Go on by one token a row; `going` names the rows that stay (None for all)."""
        ...


class SharedDecoder:
    """Continues from prompts that are computed once; rows that are finished leave.

    Args:
        trunk: the model.
        prompts: P prompts.
        prefix: the prompts, computed.
        rows: the prompt of each completion, (N,).
        room: the most tokens that a completion can have.
    """

    def __init__(self, trunk: PreTrainedModel, prompts: Prompts, prefix: Prefix, rows: Int[Tensor, " N"], room: int):
        self.base = trunk.base_model
        self.rows, self.prompts = rows, len(prompts.ids)
        self.cache = roomy(prefix.cache, groups_of(rows, self.prompts), room, attends_in_groups(trunk))
        self.states = prefix.last.index_select(0, rows)
        self.next = prefix.start.index_select(0, rows)
        written = torch.ones(len(rows), room, dtype=torch.bool, device=rows.device)
        self.mask = torch.cat([prompts.mask.index_select(0, rows), written], 1)
        self.length = prompts.ids.shape[1]
        self.padded = not bool(prompts.mask.all())

    def step(self, tokens: Int[Tensor, " N"], going: Int[Tensor, " N"] | None) -> None:
        """Go on by one token a row."""
        if going is not None:
            self.rows = self.rows[going]
            groups = groups_of(self.rows, self.prompts)
            for layer in self.cache.layers:
                assert isinstance(layer, RoomyLayer)
                layer.keep(going, groups)
            self.next, self.mask = self.next[going], self.mask[going]
        self.length += 1
        out = self.base(
            input_ids=tokens[:, None],
            attention_mask=self.mask[:, : self.length].long() if self.padded else None,
            position_ids=self.next[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.next = self.next + 1
        self.states = out.last_hidden_state[:, -1]


class PlainDecoder:
    """The model's own cache, one row a completion; finished rows stay to the end, as such a cache drops none."""

    def __init__(self, trunk: PreTrainedModel, prompts: Prompts):
        prefix = prefill(trunk, prompts, None)
        self.base, self.cache = trunk.base_model, prefix.cache
        self.states, self.next = prefix.last, prefix.start
        self.mask = prompts.mask.long()
        self.rows = torch.arange(len(prompts.mask), device=prompts.mask.device)

    def step(self, tokens: Int[Tensor, " N"], going: Int[Tensor, " N"] | None) -> None:
        """Go on by one token a row; rows that left are fed their last token and not looked at."""
        if going is not None:
            self.rows = self.rows[going]
        fed = torch.zeros(len(self.mask), dtype=torch.long, device=tokens.device).index_copy(0, self.rows, tokens)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], 1)
        out = self.base(
            input_ids=fed[:, None],
            attention_mask=self.mask,
            position_ids=self.next[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.next = self.next + 1
        self.states = out.last_hidden_state[:, -1].index_select(0, self.rows)
