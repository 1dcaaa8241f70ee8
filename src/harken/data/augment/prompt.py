"""Prompts as other people would write them: with typos, in another case, in other words, with words beside the point.

What is asked stays the same, and so do media, references and facts: a perturbed prompt has the same gold answer.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from harken.data.augment.words.case import Case
from harken.data.augment.words.distractors import Distractors
from harken.data.augment.words.typos import Typos
from harken.data.augment.words.wording import Wording
from harken.data.bounds import at_least
from harken.data.bounds import share as is_share
from harken.types import Part, Prompt, Text

Kind = Literal["typos", "case", "wordings", "distractors"]


@dataclass(frozen=True)
class PromptChange:
    """How the words of prompts are changed.

    Attributes:
        share: of the prompts that are changed; the others are asked as they are.
        kinds: of these each changed text gets `at_once` by lot, other words first and then in this order.
        at_once: how many kinds.
        tries: a prompt is changed in so many ways, and asked in the one under which the policy's own answer to it as
            it is becomes least likely; 1 asks whatever comes. Each further try is a forward pass.
        typos: slips of the fingers.
        case: small letters and capitals.
        wordings: other words for the same; the first whose sentence is said counts.
        distractors: sentences beside the point.
    """

    share: float = 0.5
    kinds: tuple[Kind, ...] = ("typos", "case", "distractors")
    at_once: int = 1
    tries: int = 1
    typos: Typos = field(default_factory=Typos)
    case: Case = field(default_factory=Case)
    wordings: tuple[Wording, ...] = ()
    distractors: Distractors = field(default_factory=Distractors)

    def __post_init__(self) -> None:
        is_share(self, "perturb", "share")
        at_least(self, "perturb", at_once=1, tries=1)
        if len(set(self.kinds)) != len(self.kinds) or self.at_once > len(self.kinds):
            raise ValueError(
                f"perturb.at_once: {self.at_once} different ones of perturb.kinds, which are {list(self.kinds)}"
            )
        if ("wordings" in self.kinds) != bool(self.wordings):
            raise ValueError(
                "perturb.wordings and `wordings` in perturb.kinds belong together: say which sentences mean the same "
                "and that these are used, or neither"
            )

    def __call__(self, prompt: Prompt, seed: int) -> Prompt:
        """The prompt with the words of its last message changed; as it is, where that has no words.

        Args:
            prompt: whatever is asked.
            seed: of the lots; the same seed and prompt give the same words.

        Returns:
            the changed prompt, with an id of its own.
        """
        chance = np.random.default_rng(seed)
        *before, last = prompt.messages
        parts: tuple[Part, ...] = tuple(
            Text(self._changed(part.text, chance)) if isinstance(part, Text) and part.text.strip() else part
            for part in last.parts
        )
        if parts == last.parts:
            return prompt
        messages = (*before, replace(last, parts=parts))
        return replace(prompt, id=f"{prompt.id} asked otherwise {seed:x}", messages=messages)

    def _changed(self, text: str, chance: np.random.Generator) -> str:
        drawn = sorted(chance.permutation(len(self.kinds))[: self.at_once].tolist())
        # Other words first: what has typos or other letters is no sentence that a wording knows.
        for kind in sorted((self.kinds[number] for number in drawn), key=lambda kind: kind != "wordings"):
            match kind:
                case "typos":
                    text = self.typos(text, chance)
                case "case":
                    text = self.case(text, chance)
                case "distractors":
                    text = self.distractors(text, chance)
                case "wordings":
                    found = (wording(text, chance) for wording in self.wordings)
                    text = next((said for said in found if said is not None), text)
        return text
