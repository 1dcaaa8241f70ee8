"""Pairs that people's statements imply: who preferred which of two completions, in which kind of feedback."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from harken.feedback.kinds import comparison, edit, ranking
from harken.feedback.records import kind_of
from harken.types import Answer, Comparison, Edit, Ranking, Rating


@dataclass(frozen=True)
class Pair:
    """Of two completions, the one that was preferred.

    Attributes:
        better: its id.
        worse: the other's id.
        answer: who said so, and in which words; of two ratings the later one.
    """

    better: str
    worse: str
    answer: Answer

    @property
    def kind(self) -> str:
        """The kind of feedback that it comes from."""
        return kind_of(self.answer.feedback)


def implied_pairs(answers: Iterable[Answer]) -> list[Pair]:
    """Pairs with a winner: of comparisons, of every two tiers of a ranking, of edits (the revision is better), and of
    ratings by one annotator of one prompt's completions on one scale."""
    out: list[Pair] = []
    graded: dict[tuple[object, ...], list[Answer]] = {}
    for answer in answers:
        match answer.feedback:
            case Comparison() as said:
                out += [Pair(*names, answer) for names in comparison.pairs(said)]
            case Ranking() as said:
                out += [Pair(*names, answer) for names in ranking.pairs(said)]
            case Edit() as said:
                out += [Pair(*names, answer) for names in edit.pairs(said, answer.annotator)]
            case Rating() as said:
                same = (answer.annotator, said.prompt_id, said.criterion, said.levels)
                graded.setdefault(same, []).append(answer)
    for several in graded.values():
        for one, other in combinations(several, 2):
            out += _of_two(one, other)
    return out


def _of_two(one: Answer, other: Answer) -> list[Pair]:
    a, b = one.feedback, other.feedback
    assert isinstance(a, Rating) and isinstance(b, Rating), "only ratings are kept"
    if a.score == b.score or a.completion == b.completion:
        return []
    better, worse = (a, b) if a.score > b.score else (b, a)
    return [Pair(better.completion, worse.completion, other)]
