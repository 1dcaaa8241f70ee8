"""Supervised training on demonstrations: maximum likelihood of the completion, given its prompt."""

import math
from dataclasses import dataclass
from typing import ClassVar

from harken.algorithms.objective import Loss
from harken.algorithms.surrogate import masked_mean, tokens_in
from harken.data.batch import Batch, Outputs


@dataclass(frozen=True)
class SFT:
    """Mean negative log-likelihood of the completions' tokens (2203.02155, section 3.5); prompts are not learnt."""

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """Minus the mean log-probability over the tokens of this batch, in nats."""
        assert outputs.logprobs is not None, "the loop gives what `needs` names"
        mask = batch.completions.mask
        value = -masked_mean(outputs.logprobs, mask)
        return Loss(value, {"perplexity": math.exp(min(value.item(), 700.0))}, tokens_in(mask))
