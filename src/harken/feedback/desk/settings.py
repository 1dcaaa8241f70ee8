"""What a project asks, of whom, how often. A frozen dataclass that is its own configuration."""

import re
from dataclasses import dataclass, field
from typing import Literal

from harken.feedback.strict import OVERALL

Form = Literal["comparison", "ranking", "rating", "edit"]
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
DAY = 86_400.0
LONGEST_TITLE = 200


@dataclass(frozen=True)
class Criterion:
    """What is graded.

    Attributes:
        name: kept with every answer, and part of its key: letters, digits, spaces, `-`, `_` and the like.
        label: shown to annotators.
        levels: grades, 1 the worst.
    """

    name: str = OVERALL
    label: str = ""
    levels: int = 5

    def __post_init__(self) -> None:
        if not self.name.strip() or not 2 <= self.levels <= 11:
            raise ValueError(f"a criterion has a name and 2 to 11 levels, not {self}")
        # Keys of answers are the turn's with `:name` and `~version`, and a column of the store holds 255 letters.
        if len(self.name) > 64 or set(self.name) & set(":~/") or not self.name.isprintable():
            raise ValueError(
                f"a criterion's name has at most 64 letters and no `:`, `~` or `/`, not {self.name[:80]!r}"
            )


@dataclass(frozen=True)
class ProjectSettings:
    """A project.

    Attributes:
        title: shown above the page.
        question: what annotators are asked; empty for the form's own words.
        instructions: shown before the first item, and on request.
        forms: which kinds of answers are asked for.
        prompts: only prompts with such ids, `*` and `?` standing for any letters and any one; empty for all.
        policies: only completions of these policies; two of them make a blind comparison of each pair. Empty for all.
        criteria: what is graded, where `rating` is a form; comparisons and rankings speak of the first.
        strength: whether a comparison also asks how much better.
        top_k: of a ranking, how many have to be put in order; None for all.
        choices: completions in one ranking at most.
        markdown: whether completions are shown as formatted text.
        overlap: how many annotators answer each item.
        annotators: names of those who may answer; empty for everybody.
        gold_every: each so-manieth turn is a question whose answer is known, where there are such; 0 for never.
        repeat_every: each so-manieth turn comes again after a while, for self-agreement; 0 for never.
        lease_seconds: how long an item waits for who has it.
        quick_seconds: answers that took less are flagged.
        open: whether items are given out.
    """

    title: str
    question: str = ""
    instructions: str = ""
    forms: tuple[Form, ...] = ("comparison",)
    prompts: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = field(default_factory=lambda: (Criterion(),))
    strength: bool = False
    top_k: int | None = None
    choices: int = 6
    markdown: bool = False
    overlap: int = 1
    annotators: tuple[str, ...] = ()
    gold_every: int = 0
    repeat_every: int = 0
    lease_seconds: float = 1800.0
    quick_seconds: float = 1.0
    open: bool = True

    def __post_init__(self) -> None:
        if not self.title.strip() or not self.forms or not self.criteria:
            raise ValueError("a project has a title, at least one form and at least one criterion")
        if len(self.title) > LONGEST_TITLE:
            raise ValueError(f"a title has at most {LONGEST_TITLE} letters, not {len(self.title)}")
        if len(set(self.forms)) < len(self.forms) or len({c.name for c in self.criteria}) < len(self.criteria):
            raise ValueError("a project names each form and each criterion once")
        if not 1 <= self.overlap <= 1000 or not 2 <= self.choices <= 9:
            raise ValueError(
                f"overlap is from 1 to 1000 and choices from 2 to 9, not {self.overlap} and {self.choices}"
            )
        if self.top_k is not None and not 1 <= self.top_k <= self.choices:
            raise ValueError(f"top_k is from 1 to {self.choices}, not {self.top_k}")
        if min(self.gold_every, self.repeat_every) < 0 or not 10 <= self.lease_seconds <= 7 * DAY:
            raise ValueError("gold_every and repeat_every are 0 or more, lease_seconds from 10 to a week")
        if not 0 <= self.quick_seconds <= 60:
            raise ValueError(f"quick_seconds is from 0 to 60, not {self.quick_seconds}")


def slug_of(title: str) -> str:
    """A short name for addresses."""
    plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:64].strip("-")
    return plain or "project"
