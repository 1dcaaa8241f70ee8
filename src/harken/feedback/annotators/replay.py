"""Answers questions with what was recorded before: nobody is asked, and nothing is made up.

Who recorded an answer keeps their id and their kind: people's recorded answers stay people's, a model's stay a model's.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harken.data.seeds import derive
from harken.feedback.queue import Compare, Question, Rank, Rate, Revise
from harken.types import (
    AnnotatorKind,
    Answer,
    Choice,
    Comparison,
    Completion,
    Edit,
    Feedback,
    Prompt,
    Ranking,
    Rating,
)

TURNED: dict[Choice, Choice] = {"a": "b", "b": "a", "tie": "tie", "both_bad": "both_bad"}


@dataclass(frozen=True)
class ReplayConfig:
    """What of the records is replayed.

    Attributes:
        criterion: of the comparisons, rankings and ratings that are asked for.
        derive: whether a comparison that was not recorded is read off the same person's ratings of both completions.
        equal: what equal ratings say: a `tie`, or nothing (`skip`).
        seed: of the draws from crowds.
    """

    criterion: str = "overall"
    derive: bool = True
    equal: Literal["tie", "skip"] = "tie"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.equal not in ("tie", "skip"):
            raise ValueError(f"equal ratings are a 'tie' or a 'skip', not {self.equal!r}")


class ReplayAnnotator:
    """One annotator's records. `replay_annotators` makes one for everybody who is on record.

    A person's newest statement of a thing counts. A crowd, whose members are not told apart (`Answer.count`), answers
    each question as one of its members, drawn by seed in proportion to the counts.

    Args:
        answers: all of one annotator, in the order that they came.
        config: what of it is replayed.

    Raises:
        ValueError: if there are none, or they are of several annotators or kinds.
    """

    def __init__(self, answers: Sequence[Answer], config: ReplayConfig | None = None):
        whose = sorted({(answer.annotator, answer.annotator_kind) for answer in answers})
        if len(whose) != 1:
            raise ValueError(
                f"a replay is of one annotator of one kind, not of {whose or 'nobody'}; "
                "replay_annotators makes one of each"
            )
        self._id, self._kind = whose[0]
        self.config = config or ReplayConfig()
        self.crowd = any(answer.count > 1 for answer in answers)
        replaced = {answer.amends for answer in answers}
        self._said: dict[tuple[object, ...], dict[Feedback, int]] = {}
        for answer in answers:
            if answer.key not in replaced:
                thing, said = _filed(answer.feedback)
                known = self._said.setdefault(thing, {})
                if not self.crowd:
                    known.clear()
                known[said] = known.get(said, 0) + answer.count

    @property
    def id(self) -> str:
        """Of the annotator on record."""
        return self._id

    @property
    def kind(self) -> AnnotatorKind:
        """Of the annotator on record: a person's answer is a person's when it is replayed, and a model's a model's."""
        return self._kind

    def answer(
        self, prompts: Mapping[str, Prompt], question: Question, completions: Mapping[str, Completion]
    ) -> Feedback | None:
        """What is on record; None where nothing is."""
        match question:
            case Compare():
                return self._compare(question)
            case Rate(completion=name):
                return self._recorded("rating", name, self.config.criterion)
            case Rank(completions=names):
                return self._recorded("ranking", frozenset(names), self.config.criterion)
            case Revise(completion=name):
                return self._recorded("edit", name)

    def _compare(self, asked: Compare) -> Feedback | None:
        said = self._recorded("comparison", frozenset((asked.a, asked.b)), self.config.criterion)
        if isinstance(said, Comparison):
            choice = said.choice if said.a == asked.a else TURNED[said.choice]
        else:
            derived = self._derived(asked) if self.config.derive else None
            if derived is None:
                return None
            choice = derived
        return Comparison(asked.prompt_id, asked.a, asked.b, choice, self.config.criterion, asked.other_prompt_id)

    def _derived(self, asked: Compare) -> Choice | None:
        """The higher rating wins; ratings on scales of different lengths say nothing of each other."""
        a, b = (self._recorded("rating", name, self.config.criterion) for name in (asked.a, asked.b))
        if not isinstance(a, Rating) or not isinstance(b, Rating) or a.levels != b.levels:
            return None
        if a.score == b.score:
            return "tie" if self.config.equal == "tie" else None
        return "a" if a.score > b.score else "b"

    def _recorded(self, *thing: object) -> Feedback | None:
        known = self._said.get(thing)
        if not known:
            return None
        # Sorted, and named by the thing alone: the draw depends on neither the order of records nor the sides.
        options = sorted(known, key=repr)
        if len(options) == 1:
            return options[0]
        named = [str(sorted(part) if isinstance(part, frozenset) else part) for part in thing]
        chance = random.Random(derive(self.config.seed, "replay", self._id, *named))
        return chance.choices(options, [known[option] for option in options])[0]


def replay_annotators(answers: Sequence[Answer], config: ReplayConfig | None = None) -> list[ReplayAnnotator]:
    """One replay for each annotator on record, in order of their ids."""
    by_name: dict[str, list[Answer]] = {}
    for answer in answers:
        by_name.setdefault(answer.annotator, []).append(answer)
    return [ReplayAnnotator(by_name[name], config) for name in sorted(by_name)]


def _filed(said: Feedback) -> tuple[tuple[object, ...], Feedback]:
    """What a statement is about, whatever the sides, and the statement in one form (a comparison's sides in order)."""
    match said:
        case Comparison(a=a, b=b, criterion=criterion):
            return ("comparison", frozenset((a, b)), criterion), said if a <= b else _turned(said)
        case Ranking(tiers=tiers, rest=rest, criterion=criterion):
            return ("ranking", frozenset((*(name for tier in tiers for name in tier), *rest)), criterion), said
        case Rating(completion=name, criterion=criterion):
            return ("rating", name, criterion), said
        case Edit(completion=name):
            return ("edit", name), said


def _turned(said: Comparison) -> Comparison:
    first, second = said.prompt_id, said.other_prompt_id
    if second is not None:
        first, second = second, first
    return Comparison(first, said.b, said.a, TURNED[said.choice], said.criterion, second)
