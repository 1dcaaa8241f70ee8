"""Environment reward + lambda x human reward, with the breakdown kept."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from harken.reward.combining import Summary
from harken.reward.evidence import EVIDENCE_RULES, Evidence
from harken.reward.rules import RuleSettings, rules_by_name
from harken.types import Completion, Prompt


@dataclass(frozen=True)
class Mixed:
    """Rewards of N completions.

    Attributes:
        total: what the policy is given, (N,).
        breakdown: each part before its weight, by name: the rules' and `human`; each (N,).
        weights: the weight of each part, so that `total` is the sum of weight * part.
        shaping: rewards of single tokens that sum to 0 in each completion, (N, T): where people's reward was earned.
        members: what the reward model's ensemble says together, where there is one: `human` is one number of it.
    """

    total: Float[Tensor, " N"]
    breakdown: dict[str, Float[Tensor, " N"]]
    weights: dict[str, float]
    shaping: Float[Tensor, "N T"] | None = None
    members: Summary | None = None


@dataclass(frozen=True)
class Mix:
    """How rewards are added up.

    Attributes:
        human_weight: lambda at the start of training.
        human_weight_end: lambda at its end, reached in a straight line; None keeps it as it was.
        environment: the weight of each rule of `harken.reward.rules` and `harken.reward.evidence`, by name.
        rules: settings of those rules that have some.
        dense: give people's reward token by token, as the reward model's score rises and falls along the completion;
            the sum stays the same. For methods with a critic.
    """

    human_weight: float = 1.0
    human_weight_end: float | None = None
    environment: Mapping[str, float] = field(default_factory=dict)
    rules: RuleSettings = field(default_factory=RuleSettings)
    dense: bool = False

    def __post_init__(self) -> None:
        known = [*rules_by_name(self.rules), *EVIDENCE_RULES]
        for name in self.environment:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
                raise ValueError(f"mix.environment: there is no rule {name!r}; {hint}")
        if "length" in self.environment and self.rules.length.says_nothing:
            raise ValueError("mix.environment weighs the length: say `limit` or `target` in mix.rules.length")
        ends = [self.human_weight] if self.human_weight_end is None else [self.human_weight, self.human_weight_end]
        if not all(math.isfinite(weight) and weight >= 0 for weight in ends):
            raise ValueError(f"mix: human_weight must be a finite number from 0 up, at both ends, not {ends}")
        if not all(math.isfinite(weight) for weight in self.environment.values()):
            raise ValueError(f"mix.environment: weights must be finite, not {dict(self.environment)}")

    @property
    def needs(self) -> frozenset[str]:
        """The fields of `Evidence` that the rules of this mix read, besides its mask; none if they read no evidence."""
        asked = [EVIDENCE_RULES[name].needs for name in self.environment if name in EVIDENCE_RULES]
        return frozenset().union(*asked)

    def says(
        self, prompts: Sequence[Prompt], completions: Sequence[Completion], evidence: Evidence | None = None
    ) -> dict[str, Float[Tensor, " N"]]:
        """What each rule of this mix says of N completions.

        Args:
            prompts: the prompt of each completion, N of them.
            completions: N.
            evidence: of the same completions, with the fields that `needs` names.

        Raises:
            ValueError: if a rule reads evidence and there is none.
        """
        plain, out = rules_by_name(self.rules), {}
        for name in self.environment:
            if name in plain:
                pairs = zip(prompts, completions, strict=True)
                out[name] = torch.tensor([plain[name](p, c) for p, c in pairs], dtype=torch.float32)
            elif evidence is None:
                raise ValueError(
                    f"the rule {name!r} reads {', '.join(sorted(EVIDENCE_RULES[name].needs))}, and no model was asked "
                    "for them; rollouts ask the reference, and elsewhere the rule has to be left out of mix.environment"
                )
            else:
                out[name] = EVIDENCE_RULES[name].score(evidence).float().cpu()
        return out

    def lambda_at(self, progress: float) -> float:
        """The weight of the human reward when a share of training, 0 to 1, is done."""
        if self.human_weight_end is None:
            return self.human_weight
        share = min(max(progress, 0.0), 1.0)
        return (1.0 - share) * self.human_weight + share * self.human_weight_end

    def combine(
        self, environment: Mapping[str, Float[Tensor, " N"]], human: Float[Tensor, " N"], progress: float = 0.0
    ) -> Mixed:
        """Add up the parts.

        Args:
            environment: what each rule says of N completions; exactly the rules of this mix.
            human: what the reward model says of them, (N,).
            progress: the share of training that is done, 0 to 1.

        Raises:
            ValueError: if the rules are not those of this mix.
        """
        if set(environment) != set(self.environment):
            raise ValueError(
                f"the mix weighs the rules {sorted(self.environment)}, but was given {sorted(environment)}"
            )
        weights = {**self.environment, "human": self.lambda_at(progress)}
        parts = {**{name: environment[name] for name in self.environment}, "human": human}
        total = torch.zeros_like(human)
        for name, part in parts.items():
            total = total + weights[name] * part
        return Mixed(total, parts, weights)
