"""What to ask next, and of whom. Plain records in, assignments out; no torch."""

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harken.types import Completion


@dataclass(frozen=True, slots=True)
class Compare:
    """Which of two completions is better?"""

    prompt_id: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Rank:
    """Put completions in order."""

    prompt_id: str
    completions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """Grade a completion."""

    prompt_id: str
    completion: str


@dataclass(frozen=True, slots=True)
class Revise:
    """Write what you would rather have read."""

    prompt_id: str
    completion: str


Question = Compare | Rank | Rate | Revise
Makers = Mapping[str, Callable[[Sequence[Completion], random.Random], list[Question]]]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A question for one annotator; `key` becomes the answer's idempotency key."""

    key: str
    annotator: str
    question: Question


def plan_questions(
    completions: Sequence[Completion],
    counts: Mapping[str, int],
    annotators: Sequence[str],
    overlap: int,
    seed: int,
) -> list[Assignment]:
    """Random questions, spread evenly over prompts and annotators; the same for the same arguments.

    Args:
        completions: what may be asked about.
        counts: how many `comparison`, `ranking`, `rating` and `edit` questions; fewer where there are not so many.
        annotators: their ids.
        overlap: how many annotators get each question.
        seed: of all choices; sides of a pair depend on it, the annotator and the pair alone.

    Raises:
        ValueError: if a kind is unknown, a count negative, an annotator named twice, or more annotators are asked for
            than there are.
    """
    _check_plan(counts, annotators)
    if not 1 <= overlap <= len(annotators):
        raise ValueError(
            f"feedback.overlap is {overlap}: it must be from 1 to the {len(annotators)} annotators there are"
        )
    chance = random.Random(seed)
    groups: dict[str, list[Completion]] = {}
    for completion in completions:
        groups.setdefault(completion.prompt_id, []).append(completion)
    prompts = sorted(groups)
    chance.shuffle(prompts)
    out: list[Assignment] = []
    turn = 0
    # Each question goes to the next `overlap` annotators in the circle. Where these groups would come round as they
    # were, a step aside after each lap lets every annotator share questions with the neighbours on both sides, so that
    # their severities can be told apart.
    lap = math.lcm(overlap, len(annotators))
    aside = int(math.gcd(overlap, len(annotators)) > 1)
    for kind, count in counts.items():
        for question in _spread([MAKERS[kind](groups[prompt], chance) for prompt in prompts], count):
            for i in range(overlap):
                annotator = annotators[(turn + i + aside * (turn // lap)) % len(annotators)]
                out.append(_assign(question, annotator, seed))
            turn += overlap
    chance.shuffle(out)
    return out


def completions_of(question: Question) -> tuple[str, ...]:
    """Ids of the completions that a question shows."""
    match question:
        case Compare(a=a, b=b):
            return (a, b)
        case Rank(completions=names):
            return names
        case Rate(completion=name) | Revise(completion=name):
            return (name,)


def _check_plan(counts: Mapping[str, int], annotators: Sequence[str]) -> None:
    for kind, count in counts.items():
        if kind not in MAKERS:
            raise ValueError(f"there is no kind of feedback {kind!r}; there are {', '.join(MAKERS)}")
        if count < 0:
            raise ValueError(f"{count} questions of kind {kind!r} cannot be asked; say 0 for none")
    if len(set(annotators)) < len(annotators):
        raise ValueError(f"an annotator is named twice in {', '.join(annotators)}; name each once")


def _spread(of_prompts: Sequence[Sequence[Question]], count: int) -> Iterator[Question]:
    """One question of each prompt in turn, until there are `count` or none is left."""
    given = 0
    for place in range(max((len(questions) for questions in of_prompts), default=0)):
        for questions in of_prompts:
            if place < len(questions):
                if given == count:
                    return
                given += 1
                yield questions[place]


def _assign(question: Question, annotator: str, seed: int) -> Assignment:
    identity = f"{seed}\x1f{annotator}\x1f{question!r}"
    key = hashlib.sha256(identity.encode()).hexdigest()
    if isinstance(question, Compare) and int(key[:8], 16) % 2:
        question = Compare(question.prompt_id, question.b, question.a)
    return Assignment(key, annotator, question)


def _distinct(completions: Sequence[Completion], chance: random.Random) -> list[Completion]:
    """Completions with different texts, in random order."""
    first: dict[str, Completion] = {}
    for completion in completions:
        first.setdefault(completion.text, completion)
    found = list(first.values())
    chance.shuffle(found)
    return found


def _compare(completions: Sequence[Completion], chance: random.Random) -> list[Question]:
    found = _distinct(completions, chance)
    pairs: list[Question] = [Compare(a.prompt_id, a.id, b.id) for a, b in combinations(found, 2)]
    chance.shuffle(pairs)
    return pairs


def _rank(completions: Sequence[Completion], chance: random.Random) -> list[Question]:
    found = _distinct(completions, chance)
    return [Rank(found[0].prompt_id, tuple(c.id for c in found))] if len(found) > 2 else []


def _rate(completions: Sequence[Completion], chance: random.Random) -> list[Question]:
    return [Rate(c.prompt_id, c.id) for c in _distinct(completions, chance)]


def _revise(completions: Sequence[Completion], chance: random.Random) -> list[Question]:
    return [Revise(c.prompt_id, c.id) for c in _distinct(completions, chance)]


MAKERS: Makers = {"comparison": _compare, "ranking": _rank, "rating": _rate, "edit": _revise}
