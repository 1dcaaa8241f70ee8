"""Who says what completions are worth: rules of the environment and a reward model, mixed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from harken.data.encoded import EncodedPrompts
from harken.reward.evidence import Evidence
from harken.reward.mix import Mix, Mixed
from harken.reward.model import RewardModel
from harken.types import Completion, Prompt


@dataclass
class Scorer:
    """Completions to rewards: rules of the environment and a reward model, mixed.

    Attributes:
        mix: the weights.
        reward: the reward model, or None where only the environment rewards.
        encoded: prompts as the reward model reads them.
    """

    mix: Mix
    reward: RewardModel | None
    encoded: EncodedPrompts | None

    def __call__(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        rows: Sequence[int],
        progress: float,
        evidence: Evidence | None = None,
    ) -> Mixed:
        """Rewards of N completions.

        Args:
            prompts: P prompts.
            completions: N; those of one prompt stand together.
            rows: the prompt of each completion.
            progress: from 0 to 1; moves the mix's schedule.
            evidence: what `mix.needs` names, of the same N completions.

        Raises:
            ValueError: if a rule of the mix reads evidence and there is none.
        """
        human = self.human(prompts, completions, rows)
        environment = self.mix.says([prompts[row] for row in rows], completions, evidence)
        return self.mix.combine(environment, human, progress)

    def human(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], rows: Sequence[int]
    ) -> Float[Tensor, " N"]:
        """What the reward model says of N completions; zeros without one."""
        if self.reward is None or self.encoded is None:
            return torch.zeros(len(rows))
        ids = [self.encoded.processor.encode_completion(completion) for completion in completions]
        return self.reward.combine(self.reward.scores(self.encoded(prompts), ids, rows))
