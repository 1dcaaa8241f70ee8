"""A simulated annotator: a program that follows a hidden rule with noise. Never a person, and never shown as one."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from harken.data.seeds import derive
from harken.feedback.queue import Compare, Question, Rank, Rate, Revise
from harken.types import AnnotatorKind, Choice, Comparison, Completion, Edit, Feedback, Prompt, Ranking, Rating

GRADES = (-0.5, 1.5, 3.0, 4.2)
"""Gold scores between which the grades 1 to 5 lie, for an annotator of severity 0."""


@dataclass(frozen=True)
class SimulatedAnnotator:
    """Judges by `gold`, plus noise.

    What it says depends on (seed, id, question) alone.

    Attributes:
        id: its id.
        gold: the hidden preference.
        improve: what it would rather have read.
        noise: standard deviation of each judgement, in units of gold.
        severity: taken off before a grade is given.
        care: probability of looking at a question; else the answer is by chance.
        seed: of its noise.
        tie: judgements closer than this are called a tie.
        bad: two completions judged below this may be called both bad.
    """

    id: str
    gold: Callable[[Prompt, Completion], float]
    improve: Callable[[Prompt, Completion, random.Random], str]
    noise: float
    severity: float
    care: float
    seed: int
    tie: float = 0.1
    bad: float = -1.5
    kind: ClassVar[AnnotatorKind] = "simulated"

    def answer(
        self, prompts: Mapping[str, Prompt], question: Question, completions: Mapping[str, Completion]
    ) -> Feedback | None:
        """A noisy statement; None for an edit where there is nothing to mend, or it did not look."""
        asked = question.prompt_id
        chance = random.Random(derive(self.seed, self.id, repr(question)))
        careful = chance.random() < self.care

        def judged(name: str) -> float:
            completion = completions[name]
            # As an answer to its own prompt: a comparison may be of two.
            return self.gold(prompts[completion.prompt_id], completion) + chance.gauss(0, self.noise)

        match question:
            case Compare(a=a, b=b, other_prompt_id=other):
                blind: Choice = "a" if chance.random() < 0.5 else "b"
                choice = self._choose(judged(a), judged(b)) if careful else blind
                return Comparison(asked, a, b, choice, other_prompt_id=other)
            case Rate(completion=name):
                score = judged(name) - self.severity
                grade = 1 + sum(score > threshold for threshold in GRADES) if careful else chance.randint(1, 5)
                return Rating(asked, name, grade)
            case Rank(completions=names):
                order = sorted(names, key=judged if careful else lambda name: chance.random(), reverse=True)
                return Ranking(asked, tuple((name,) for name in order))
            case Revise(completion=name):
                better = self.improve(prompts[asked], completions[name], chance)
                unchanged = better == completions[name].text
                return None if unchanged or not careful else Edit(asked, name, better)

    def _choose(self, a: float, b: float) -> Choice:
        if abs(a - b) < self.tie:
            return "tie"
        if max(a, b) < self.bad:
            return "both_bad"
        return "a" if a > b else "b"
