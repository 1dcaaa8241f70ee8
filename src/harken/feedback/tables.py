"""What annotators said, as tables of items by values: who said which of the same things about the same question."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from harken.types import Answer, Comparison, Completion, Edit, Ranking, Rating

FIRST, SECOND, TIE, BOTH_BAD = range(4)
SIDES = ("first", "second", "tie", "both bad")


@dataclass(frozen=True)
class Item:
    """What was judged.

    Attributes:
        prompts: of the completions.
        completions: two for a comparison, in the order of their ids; one for a rating; all that a choice is among.
    """

    prompts: tuple[str, ...]
    completions: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """One statement about an item, in order of time.

    Attributes:
        annotator: who.
        item: about what.
        value: which of the table's values.
        count: how many people of that name said it.
        shown: of a comparison, the value that the side shown first has; else -1.
    """

    annotator: str
    item: Item
    value: int
    count: int = 1
    shown: int = -1


@dataclass(frozen=True)
class Table:
    """Statements of one kind about one criterion on one scale.

    Attributes:
        kind: `comparison`; `ranking` (every two of its completions); `choice` (of one among several); `rating`.
        criterion: what was judged.
        values: names of the values that can be said.
        said: all statements; of a person's repeats the last one counts below.
        crowds: annotators whose members are not told apart: whoever once spoke for several.
    """

    kind: str
    criterion: str
    values: tuple[str, ...]
    said: tuple[Said, ...]
    crowds: frozenset[str]

    @property
    def graded(self) -> bool:
        """Whether the values have an order."""
        return self.kind == "rating"

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """What was judged, in the order that it first was."""
        return tuple(dict.fromkeys(one.item for one in self.said))

    @cached_property
    def annotators(self) -> tuple[str, ...]:
        """Those who are told apart, by name."""
        return tuple(sorted({one.annotator for one in self.said} - self.crowds))

    @cached_property
    def last(self) -> dict[tuple[str, Item], Said]:
        """The newest statement of each annotator who is told apart about each item."""
        return {(one.annotator, one.item): one for one in self.said if one.annotator not in self.crowds}

    @cached_property
    def place(self) -> dict[Item, int]:
        """The row of each item."""
        return {item: n for n, item in enumerate(self.items)}

    @cached_property
    def counts(self) -> Int[np.ndarray, "U V"]:
        """How many people said each value of each item: a person's newest answer, and all of a crowd."""
        out = np.zeros((len(self.items), len(self.values)), dtype=np.int64)
        counted = [*self.last.values(), *(one for one in self.said if one.annotator in self.crowds)]
        for one in counted:
            out[self.place[one.item], one.value] += one.count
        return out

    def shared_counts(self) -> Int[np.ndarray, "S V"]:
        """The counts of items about which two or more spoke."""
        return self.counts[self.counts.sum(1) > 1]

    def rows(self) -> list[dict[int, int]]:
        """For each annotator the value by the item's row."""
        out: dict[str, dict[int, int]] = {name: {} for name in self.annotators}
        for (annotator, item), one in self.last.items():
            out[annotator][self.place[item]] = one.value
        return [out[name] for name in self.annotators]

    def shared_with_others(self) -> dict[str, int]:
        """For each annotator, how many items somebody else spoke about too."""
        people = self.counts.sum(1)
        return {
            name: sum(int(people[n] > 1) for n in row) for name, row in zip(self.annotators, self.rows(), strict=True)
        }

    def weights(self) -> Float[np.ndarray, "V V"]:
        """How far two values are apart, in 0..1: not equal, or for grades the square of their distance."""
        if not self.graded:
            return 1 - np.eye(len(self.values))
        place = np.arange(len(self.values)) / (len(self.values) - 1)
        return np.asarray((place[:, None] - place[None, :]) ** 2)

    def confusion_of(self, one: Mapping[int, int], other: Mapping[int, int]) -> Float[np.ndarray, "V V"]:
        """How often one said v where the other said w."""
        out = np.zeros((len(self.values), len(self.values)))
        for item in one.keys() & other.keys():
            out[one[item], other[item]] += 1
        return out


def tables(answers: Iterable[Answer], completions: Mapping[str, Completion]) -> list[Table]:
    """All that can be compared between annotators, a table for each kind, criterion and scale.

    Rankings are read as pairs, with ties; what was not ranked is below all else. A choice of one among several is one
    statement, and no pairs: two who choose differently would seem to agree about all that neither chose. Edits are not
    here: two texts are hardly ever equal, and by chance never.

    Args:
        answers: in order of time, amended ones left out.
        completions: by id.
    """
    listed = list(answers)
    crowds = frozenset(answer.annotator for answer in listed if answer.count > 1)
    found: dict[tuple[str, str, int], list[Said]] = {}
    chosen: dict[str, list[Answer]] = {}
    for answer in listed:
        said = answer.feedback
        if isinstance(said, Ranking) and is_choice(said):
            chosen.setdefault(said.criterion, []).append(answer)
        elif not isinstance(said, Edit):
            levels = said.levels if isinstance(said, Rating) else len(SIDES)
            kind = {Comparison: "comparison", Ranking: "ranking", Rating: "rating"}[type(said)]
            found.setdefault((kind, said.criterion, levels), []).extend(_said(answer))
    out = []
    for (kind, criterion, levels), said_so in found.items():
        values = tuple(str(n + 1) for n in range(levels)) if kind == "rating" else SIDES
        out.append(Table(kind, criterion, values, tuple(said_so), crowds))
    out += [_choices(criterion, given, completions, crowds) for criterion, given in chosen.items()]
    return sorted(out, key=lambda table: (table.kind, table.criterion, len(table.values)))


def is_choice(said: Ranking) -> bool:
    """Whether a ranking only names one of several."""
    return len(said.tiers) == 1 and len(said.tiers[0]) == 1 and bool(said.rest)


def _said(answer: Answer) -> Iterator[Said]:
    who, said, count = answer.annotator, answer.feedback, answer.count
    match said:
        case Comparison(a=a, b=b, choice=choice):
            sides = sorted([(a, said.prompt_id), (b, said.other_prompt_id or said.prompt_id)])
            item = Item(tuple(p for _, p in sides), tuple(c for c, _ in sides))
            first = FIRST if item.completions[0] == a else SECOND
            value = {"a": first, "b": SECOND - first, "tie": TIE, "both_bad": BOTH_BAD}[choice]
            yield Said(who, item, value, count, first)
        case Rating(completion=name, score=score):
            yield Said(who, Item((said.prompt_id,), (name,)), score - 1, count)
        case Ranking(prompt_id=prompt):
            tiers = [*said.tiers, said.rest]
            tier = {name: n for n, names in enumerate(tiers) for name in names}
            for one, other in combinations(sorted(tier), 2):
                if not (one in said.rest and other in said.rest):
                    value = FIRST if tier[one] < tier[other] else SECOND if tier[one] > tier[other] else TIE
                    yield Said(who, Item((prompt, prompt), (one, other)), value, count)


def _choices(
    criterion: str, answers: Sequence[Answer], completions: Mapping[str, Completion], crowds: frozenset[str]
) -> Table:
    """Choices by what was chosen, where everywhere the same texts stood for choice; else by its place by id."""
    items, offered = [], []
    for answer in answers:
        said = answer.feedback
        assert isinstance(said, Ranking), "only choices are kept"
        names = sorted((said.tiers[0][0], *said.rest))
        items.append((answer, said, tuple(names)))
        offered.append(tuple(sorted(completions[name].text for name in names)))
    labels = offered[0] if len(set(offered)) == 1 and len(set(offered[0])) == len(offered[0]) else ()
    most = max(len(names) for _, _, names in items)
    out = []
    for answer, said, among in items:
        top = said.tiers[0][0]
        value = labels.index(completions[top].text) if labels else among.index(top)
        out.append(Said(answer.annotator, Item((said.prompt_id,) * len(among), among), value, answer.count))
    return Table("choice", criterion, labels or tuple(f"no. {n + 1}" for n in range(most)), tuple(out), crowds)
