"""Who samples a rollout's completions: the policy in this process, or a server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from harken.data.batch import EncodedPrompt, collate_prompts
from harken.data.encoded import Encodes
from harken.models.generate import Decoding, Sampled, generate
from harken.models.model import Model
from harken.types import Prompt


@runtime_checkable
class Sampler(Protocol):
    """Completions of prompts by the policy as it is now."""

    def sample(self, prompts: Sequence[Prompt], rows: Int[Tensor, " N"], decoding: Decoding, seed: int) -> Sampled:
        """N completions.

        Args:
            prompts: P prompts.
            rows: for each completion the row of its prompt, (N,).
            decoding: length, temperature, and what else shapes the choice.
            seed: of all draws: the same seed and weights give the same completions.
        """
        ...

    def refresh(self, policy: Model) -> None:
        """The policy's weights changed; called before a rollout, never during one."""
        ...


@dataclass
class LocalSampler:
    """The policy itself, from the shared prefix.

    Attributes:
        policy: samples.
        encoded: prompts as it reads them.
        keep_prefix: whether the completions are learnt from at once, all together (see `generate`).
    """

    policy: Model
    encoded: Encodes
    keep_prefix: bool = False

    def sample(self, prompts: Sequence[Prompt], rows: Int[Tensor, " N"], decoding: Decoding, seed: int) -> Sampled:
        """N completions of P prompts, each prompt computed once."""
        device = next(self.policy.parameters()).device
        asked = collate_prompts(self.encoded(prompts), self.encoded.processor.pad_id).to(device)
        generator = torch.Generator().manual_seed(seed)
        return generate(self.policy, asked, rows.to(device), decoding, generator, keep_prefix=self.keep_prefix)

    def refresh(self, policy: Model) -> None:
        """Nothing to do: it samples with these very weights."""


@dataclass(frozen=True)
class Asked:
    """What a rollout asks.

    Attributes:
        prompts: as they are, P of them; who judges reads these.
        rows: for each of N completions the row of its prompt, (N,).
        sampler: who answers.
        words: the prompts in the words that the policy is asked in.
        read: the prompts as it reads them.
    """

    prompts: Sequence[Prompt]
    rows: Tensor
    sampler: Sampler
    words: Sequence[Prompt]
    read: Sequence[EncodedPrompt]
