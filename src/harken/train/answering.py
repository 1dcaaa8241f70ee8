"""Completions of prompts, for people to judge or for an evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from harken.data.batch import collate_prompts
from harken.data.encoded import EncodedPrompts
from harken.data.seeds import derive
from harken.models.generate import Decoding, generate
from harken.models.model import Model
from harken.types import Completion, Prompt


@dataclass(frozen=True)
class Sampling:
    """How prompts are answered for people, or for an evaluation.

    Attributes:
        policy: the policy's name, kept in each completion.
        each: completions a prompt.
        decoding: length and temperature.
        seed: of the samples.
        batch: prompts at a time.
    """

    policy: str
    each: int
    decoding: Decoding
    seed: int
    batch: int = 32


def sample_completions(
    policy: Model,
    prompts: Sequence[Prompt],
    encoded: EncodedPrompts,
    how: Sampling,
    on_batch: Callable[[int], None] = lambda done: None,
) -> list[Completion]:
    """Completions of every prompt, prompt by prompt, with ids that say nothing of the policy.

    Args:
        policy: who answers.
        prompts: what is asked.
        encoded: prompts as the policy reads them.
        how: how many, and how.
        on_batch: called with the number of prompts done; it may raise to end it there.
    """
    policy.eval()
    processor = encoded.processor
    device = next(policy.parameters()).device
    out: list[Completion] = []
    for start in range(0, len(prompts), how.batch):
        part = prompts[start : start + how.batch]
        rows = torch.arange(len(part)).repeat_interleave(how.each)
        generator = torch.Generator().manual_seed(derive(how.seed, "completions", start))
        asked = collate_prompts(encoded(part), processor.pad_id).to(device)
        sampled = generate(policy, asked, rows.to(device), how.decoding, generator)
        for n, (row, ids) in enumerate(zip(rows.tolist(), sampled.ids, strict=True)):
            text, ended = processor.decode(ids), bool(sampled.finished[n])
            # By what was written too: weights may change, and an answer that people judged stays the one they saw.
            identity = f"{derive(how.seed, how.policy, part[row].id, n % how.each, text, int(ended)):016x}"
            out.append(Completion(identity, part[row].id, text, how.policy, ended))
        on_batch(min(start + how.batch, len(prompts)))
    return out
