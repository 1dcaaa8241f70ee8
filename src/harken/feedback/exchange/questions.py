"""Answers to the same question, together: tools for labelling keep one task with everybody's answers to it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harken.feedback.exchange.parcel import Parcel, Tally, count_left, parcel
from harken.feedback.records import kind_of, named_completions
from harken.feedback.stream import Item
from harken.types import Answer, Edit, Ranking, Rating


@dataclass(frozen=True)
class Question:
    """What was asked, and who said what.

    Attributes:
        kind: of feedback.
        shown: ids of the completions: of a comparison a and b, of a ranking in the order that they came.
        criterion: what was judged; empty for edits.
        levels: of a rating's scale, else 0.
        answers: to it, in the order that they came.
    """

    kind: str
    shown: tuple[str, ...]
    criterion: str
    levels: int
    answers: tuple[Answer, ...]


def question_by_question(items: Iterable[Item], tally: Tally) -> Iterator[tuple[Question, Parcel]]:
    """Every question of a store with what belongs to it; one is a record, and what no answer speaks of is counted."""
    for item in items:
        for question in questions(item):
            yield question, parcel(item, question.answers)
            tally.records += 1
        count_left(tally, item, item.answers)


def questions(item: Item) -> list[Question]:
    """The answers of an item by what was asked."""
    order = {completion.id: i for i, completion in enumerate(item.completions)}
    groups: dict[tuple[str, tuple[str, ...], str, int], list[Answer]] = {}
    for answer in item.answers:
        said = answer.feedback
        names = named_completions(said)
        if isinstance(said, Ranking):
            names = tuple(sorted(names, key=order.__getitem__))
        criterion = "" if isinstance(said, Edit) else said.criterion
        levels = said.levels if isinstance(said, Rating) else 0
        groups.setdefault((kind_of(said), names, criterion, levels), []).append(answer)
    return [Question(*asked, tuple(said)) for asked, said in groups.items()]
