"""What to ask next, and of whom. Plain records in, assignments out; no torch."""

import hashlib
import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations

from harken.feedback.selection import Candidates, SelectionConfig, select_pairs
from harken.types import Answer, Comparison, Completion


@dataclass(frozen=True, slots=True)
class Compare:
    """Which of two completions is better? Both answer `prompt_id`, unless `b` answers `other_prompt_id`."""

    prompt_id: str
    a: str
    b: str
    other_prompt_id: str | None = None

    def __repr__(self) -> str:
        # Keys of answers are hashes of this text: without another prompt it is what it was before there could be one.
        other = "" if self.other_prompt_id is None else f", other_prompt_id={self.other_prompt_id!r}"
        return f"Compare(prompt_id={self.prompt_id!r}, a={self.a!r}, b={self.b!r}{other})"

    def turned(self) -> "Compare":
        """The same question with its sides changed."""
        if self.other_prompt_id is None:
            return Compare(self.prompt_id, self.b, self.a)
        return Compare(self.other_prompt_id, self.b, self.a, self.prompt_id)


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
    _check_plan(counts)
    _check_staff(annotators, overlap, "feedback.overlap")
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


def random_pairs(completions: Sequence[Completion], count: int, seed: int) -> list[Compare]:
    """Random pairs of different texts of one prompt, spread evenly over prompts; fewer where there are not so many."""
    chance, groups = random.Random(seed), dict[str, list[Completion]]()
    for completion in completions:
        groups.setdefault(completion.prompt_id, []).append(completion)
    prompts = sorted(groups)
    chance.shuffle(prompts)
    found = _spread([_compare(groups[prompt], chance) for prompt in prompts], count)
    return [question for question in found if isinstance(question, Compare)]


@dataclass(frozen=True)
class Staff:
    """Who may be asked about chosen pairs.

    Attributes:
        annotators: their ids.
        overlap: how many annotators get each pair.
        load: how many pairs one annotator may get; no bound if None.
        asked: pairs that an annotator was asked before, each as a set of two completions; `pairs_asked` makes it.
    """

    annotators: Sequence[str]
    overlap: int = 1
    load: int | None = None
    asked: Mapping[str, Collection[Set[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_staff(self.annotators, self.overlap, "overlap")
        if self.load is not None and self.load < 0:
            raise ValueError(f"load is {self.load}: an annotator gets 0 pairs or more")


def pairs_asked(answers: Sequence[Answer]) -> dict[str, set[frozenset[str]]]:
    """The pairs that every annotator has compared, whatever the sides and the criterion."""
    out: dict[str, set[frozenset[str]]] = {}
    for answer in answers:
        if isinstance(answer.feedback, Comparison):
            out.setdefault(answer.annotator, set()).add(frozenset((answer.feedback.a, answer.feedback.b)))
    return out


def plan_selected(
    completions: Sequence[Completion],
    candidates: Candidates,
    selection: SelectionConfig,
    staff: Staff,
    seed: int,
) -> list[Assignment]:
    """Questions about the pairs that a policy chooses, in the order of choice; the same for the same arguments.

    Args:
        completions: what the rows of the candidates' scores are of, in their order; a pair may be of two prompts.
        candidates: pairs of rows, and what is known of them.
        selection: the policy, and how many pairs.
        staff: of whom.
        seed: of all choices; sides depend on it, the annotator and the pair alone.

    Raises:
        ValueError: if there are not as many completions as rows, or the policy lacks what it needs.
    """
    if len(completions) != len(candidates.scores):
        raise ValueError(
            f"there are {len(completions)} completions and scores of {len(candidates.scores)}; give one each"
        )
    chosen = candidates.pairs[select_pairs(candidates, selection, seed)]
    return assign_pairs([compare(completions[a], completions[b]) for a, b in chosen.tolist()], staff, seed)


def compare(a: Completion, b: Completion) -> Compare:
    """The question which of two completions is better, of one prompt or of two."""
    return Compare(a.prompt_id, a.id, b.id, None if a.prompt_id == b.prompt_id else b.prompt_id)


def assign_pairs(pairs: Sequence[Compare], staff: Staff, seed: int) -> list[Assignment]:
    """Give each pair to those annotators who have the most room, among equals by chance; the first pairs come first.

    Nobody gets a pair twice, whatever its sides. A pair for which there are not `overlap` annotators with room is left
    out whole, so that what is asked is asked as often as was ordered.
    """
    had: dict[str, set[Set[str]]] = {
        name: {frozenset(p) for p in staff.asked.get(name, ())} for name in staff.annotators
    }
    given = dict.fromkeys(staff.annotators, 0)
    out: list[Assignment] = []
    for pair in pairs:
        names = frozenset((pair.a, pair.b))
        question = pair if pair.a <= pair.b else pair.turned()
        free = [
            _assign(question, name, seed)
            for name in staff.annotators
            if names not in had[name] and (staff.load is None or given[name] < staff.load)
        ]
        if len(free) < staff.overlap:
            continue
        # A key is a hash of seed, annotator and pair: chance enough, and it does not depend on the annotators' order.
        for assignment in sorted(free, key=lambda one: (given[one.annotator], one.key))[: staff.overlap]:
            given[assignment.annotator] += 1
            had[assignment.annotator].add(names)
            out.append(assignment)
    return out


def prompts_of(question: Question) -> tuple[str, ...]:
    """Ids of the prompts that a question shows, one for each of its completions where these are of two."""
    if isinstance(question, Compare) and question.other_prompt_id is not None:
        return question.prompt_id, question.other_prompt_id
    return (question.prompt_id,)


def completions_of(question: Question) -> tuple[str, ...]:
    """Ids of the completions that a question shows."""
    match question:
        case Compare(a=a, b=b):
            return (a, b)
        case Rank(completions=names):
            return names
        case Rate(completion=name) | Revise(completion=name):
            return (name,)


def _check_plan(counts: Mapping[str, int]) -> None:
    for kind, count in counts.items():
        if kind not in MAKERS:
            raise ValueError(f"there is no kind of feedback {kind!r}; there are {', '.join(MAKERS)}")
        if count < 0:
            raise ValueError(f"{count} questions of kind {kind!r} cannot be asked; say 0 for none")


def _check_staff(annotators: Sequence[str], overlap: int, name: str) -> None:
    if len(set(annotators)) < len(annotators):
        raise ValueError(f"an annotator is named twice in {', '.join(annotators)}; name each once")
    if not 1 <= overlap <= len(annotators):
        raise ValueError(f"{name} is {overlap}: it must be from 1 to the {len(annotators)} annotators there are")


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
        question = question.turned()
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
