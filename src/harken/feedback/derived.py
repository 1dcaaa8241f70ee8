"""Votes that people's own grades imply: who graded one recording higher than another would have chosen it."""

import random
from collections.abc import Sequence

from harken.data.seeds import derive
from harken.types import Answer, Choice, Comparison, Rating


def votes_from_ratings(answers: Sequence[Answer], each: int, seed: int, criterion: str = "overall") -> list[Answer]:
    """Comparisons between items that one annotator graded on one scale, `each` of every annotator.

    The higher grade wins, equal grades are a tie; which is shown first is drawn. Pairs are drawn without regard to
    what was said, and may be of two prompts.

    Args:
        answers: ratings; others are passed over.
        each: votes of every annotator; fewer where there are not so many pairs.
        seed: of the draw.
        criterion: of the ratings, and of the votes.
    """
    graded: dict[tuple[str, int], list[Answer]] = {}
    for answer in answers:
        if isinstance(answer.feedback, Rating) and answer.feedback.criterion == criterion:
            graded.setdefault((answer.annotator, answer.feedback.levels), []).append(answer)
    out = []
    for (annotator, levels), mine in sorted(graded.items()):
        chance = random.Random(derive(seed, "votes", annotator, levels))
        seen: set[tuple[str, str]] = set()
        most = len(mine) * (len(mine) - 1) // 2
        while len(seen) < min(each, most):
            one, other = chance.sample(mine, 2)
            name = (min(one.key, other.key), max(one.key, other.key))
            if name not in seen:
                seen.add(name)
                out.append(_vote(one, other))
    return out


def _vote(first: Answer, second: Answer) -> Answer:
    a, b = first.feedback, second.feedback
    assert isinstance(a, Rating) and isinstance(b, Rating), "only ratings are kept"
    choice: Choice = "tie" if a.score == b.score else "a" if a.score > b.score else "b"
    other = None if a.prompt_id == b.prompt_id else b.prompt_id
    said = Comparison(a.prompt_id, a.completion, b.completion, choice, a.criterion, other)
    return Answer(f"vote {first.key} {second.key}", first.annotator, first.annotator_kind, said)
