"""Who says what completions are worth: rules of the environment and a reward model, mixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from harken.data.encoded import EncodedPrompts
from harken.reward.combining import Summary
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
        sampled: Sequence[Tensor] = (),
    ) -> Mixed:
        """Rewards of N completions.

        Args:
            prompts: P prompts.
            completions: N; those of one prompt stand together.
            rows: the prompt of each completion.
            progress: from 0 to 1; moves the mix's schedule.
            evidence: what `mix.needs` names, of the same N completions.
            sampled: the completions' ids as the policy wrote them, where the mix is dense.

        Raises:
            ValueError: if a rule of the mix reads evidence and there is none.
        """
        environment = self.mix.says([prompts[row] for row in rows], completions, evidence)
        if self.reward is None:
            return self.mix.combine(environment, torch.zeros(len(rows)), progress)
        if not self.mix.dense:
            scores = self.members(prompts, completions, rows)
            return self._mixed(environment, scores, progress)
        along = self.along(prompts, completions, rows, sampled)
        mixed = self._mixed(environment, torch.stack([each[-1] for _, each in along]), progress)
        rewards = [(ids, self.reward.combine(each)) for ids, each in along]
        return replace(mixed, shaping=mixed.weights["human"] * shaping(rewards, sampled))

    def _mixed(self, environment: Mapping[str, Tensor], scores: Float[Tensor, "N K"], progress: float) -> Mixed:
        assert self.reward is not None, "asked only where there is a reward model"
        mixed = self.mix.combine(environment, self.reward.combine(scores), progress)
        return replace(mixed, members=Summary.of(scores))

    def along(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        rows: Sequence[int],
        sampled: Sequence[Tensor],
    ) -> list[tuple[Tensor, Tensor]]:
        """Of each completion its ids as the reward model reads it, and the scores after each of them, (T_n, K)."""
        assert self.reward is not None and self.encoded is not None, "asked only where there is a reward model"
        processor = self.encoded.processor
        # A policy may cut a text otherwise than its tokenizer would; the reward model reads it as it was written, if
        # the ids mean the same to both.
        ids = [
            wrote.cpu() if processor.decode(wrote.cpu()) == completion.text else processor.encode_completion(completion)
            for completion, wrote in zip(completions, sampled, strict=True)
        ]
        return list(zip(ids, self.reward.token_scores(self.encoded(prompts), ids, rows), strict=True))

    def members(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], rows: Sequence[int]
    ) -> Float[Tensor, "N K"]:
        """What the reward model's members say of N completions."""
        assert self.reward is not None and self.encoded is not None, "asked only where there is a reward model"
        ids = [self.encoded.processor.encode_completion(completion) for completion in completions]
        return self.reward.scores(self.encoded(prompts), ids, rows)

    def human(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], rows: Sequence[int]
    ) -> Float[Tensor, " N"]:
        """What the reward model says of N completions; zeros without one."""
        if self.reward is None:
            return torch.zeros(len(rows))
        return self.reward.combine(self.members(prompts, completions, rows))


def shaping(along: Sequence[tuple[Tensor, Tensor]], sampled: Sequence[Tensor]) -> Float[Tensor, "N T"]:
    """What each token adds to the reward so far, less the whole on the last: sums to 0 in each completion.

    Differences of a potential, as in Ng, Harada and Russell 1999 ("Policy invariance under reward transformations"):
    what is learnt in the end is the same, and is learnt from where it was earned. A completion whose ids
    mean something else to the reward model gets zeros.

    Args:
        along: of each completion its ids as the reward model reads it, and the reward after each, (T_n,).
        sampled: its ids as the policy wrote it.
    """
    out = torch.zeros(len(sampled), max((len(ids) for ids in sampled), default=0))
    for n, ((read, reward), wrote) in enumerate(zip(along, sampled, strict=True)):
        if torch.equal(read, wrote.cpu()):
            out[n, : len(reward)] = torch.diff(reward, prepend=reward.new_zeros(1))
            out[n, len(reward) - 1] -= reward[-1]
    return out
