"""Do people agree? Shares of equal answers, and Krippendorff's alpha."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float

from harken.types import Answer, Comparison, Rating

Metric = Literal["nominal", "ordinal"]
FIRST, SECOND, TIE, BOTH_BAD = range(4)


@dataclass(frozen=True)
class Table:
    """What annotators said of the same things.

    Attributes:
        annotators: their ids, in order.
        items: what was judged, in order.
        said: a number for each (annotator, item); NaN where an annotator was not asked.
        metric: whether the numbers are names or grades.
    """

    annotators: tuple[str, ...]
    items: tuple[Hashable, ...]
    said: Float[np.ndarray, "A U"]
    metric: Metric


@dataclass(frozen=True)
class Agreement:
    """Of the items that two annotators share, on how many they say the same."""

    first: str
    second: str
    shared: int
    agreed: int

    @property
    def rate(self) -> float:
        """The share in 0..1; NaN where nothing is shared."""
        return self.agreed / self.shared if self.shared else float("nan")


def comparisons(answers: Sequence[Answer]) -> Table:
    """The comparisons among answers. An item is a pair, whatever its sides were; of repeats the last one counts."""
    said: dict[tuple[str, Hashable], float] = {}
    for answer in answers:
        match answer.feedback:
            case Comparison(prompt_id=prompt, a=a, b=b, choice=choice, other_prompt_id=other):
                # Across prompts, which one is named first depends on the sides.
                prompt = prompt if other is None else min(prompt, other)
                first, second = sorted((a, b))
                value = {"a": a, "b": b}.get(choice)
                code = {first: FIRST, second: SECOND}[value] if value else {"tie": TIE, "both_bad": BOTH_BAD}[choice]
                said[answer.annotator, (prompt, first, second)] = float(code)
    return _table(said, "nominal")


def ratings(answers: Sequence[Answer], criterion: str = "overall") -> Table:
    """The ratings on one criterion among answers; of repeats the last one counts.

    Raises:
        ValueError: if they are on scales of different lengths.
    """
    said: dict[tuple[str, Hashable], float] = {}
    scales: set[int] = set()
    for answer in answers:
        match answer.feedback:
            case Rating(prompt_id=prompt, completion=name, score=score, levels=levels, criterion=on) if on == criterion:
                said[answer.annotator, (prompt, name)] = float(score)
                scales.add(levels)
    if len(scales) > 1:
        raise ValueError(
            f"ratings of {criterion!r} are on scales of {sorted(scales)} levels; compare one scale at a time"
        )
    return _table(said, "ordinal")


def _table(said: Mapping[tuple[str, Hashable], float], metric: Metric) -> Table:
    annotators = sorted({annotator for annotator, _ in said})
    items = list(dict.fromkeys(item for _, item in said))
    row, column = ({name: i for i, name in enumerate(names)} for names in (annotators, items))
    values = np.full((len(annotators), len(items)), np.nan)
    for (annotator, item), value in said.items():
        values[row[annotator], column[item]] = value
    return Table(tuple(annotators), tuple(items), values, metric)


def pairwise(table: Table) -> list[Agreement]:
    """How often each two annotators say the same, equal grades only."""
    out = []
    for i, j in combinations(range(len(table.annotators)), 2):
        one, other = table.said[i], table.said[j]
        shared = int((~np.isnan(one) & ~np.isnan(other)).sum())
        out.append(Agreement(table.annotators[i], table.annotators[j], shared, int((one == other).sum())))
    return out


def agreement_rate(table: Table) -> float:
    """The share of equal answers over all pairs of annotators and the items they share; NaN where none is shared."""
    pairs = pairwise(table)
    return Agreement("", "", sum(p.shared for p in pairs), sum(p.agreed for p in pairs)).rate


def alpha(table: Table) -> float:
    """Krippendorff's alpha of a table: `krippendorff_alpha` by its own metric."""
    return krippendorff_alpha(table.said, table.metric)


def krippendorff_alpha(said: Float[np.ndarray, "A U"], metric: Metric) -> float:
    """Agreement beyond chance: 1 - observed / expected disagreement. 1 is perfect, 0 is chance, below 0 is worse.

    Args:
        said: a number for each annotator and unit, NaN where there is none. Units with fewer than two are left out.
        metric: "nominal" (equal or not) or "ordinal" (how many answers lie between two grades).

    Returns:
        alpha; NaN where it is not defined: nothing is shared, or everything said is one and the same.

    Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections C and D.
    """
    values = np.unique(said[~np.isnan(said)])
    counts = (said[None] == values[:, None, None]).sum(axis=1).astype(float)
    answered = counts.sum(axis=0)
    counts, answered = counts[:, answered > 1], answered[answered > 1]
    weighted = counts / (answered - 1)
    # An answer is never paired with itself.
    coincidences = weighted @ counts.T - np.diag(weighted.sum(axis=1))
    totals = coincidences.sum(axis=1)
    distance = _distance(totals, metric)
    expected = (np.outer(totals, totals) * distance).sum()
    if expected == 0:
        return float("nan")
    return float(1 - (totals.sum() - 1) * (coincidences * distance).sum() / expected)


def _distance(totals: Float[np.ndarray, " V"], metric: Metric) -> Float[np.ndarray, "V V"]:
    if metric == "nominal":
        return 1 - np.eye(len(totals))
    # The answers from grade c to grade k, both ends by half: the distance of the middles of their ranks.
    middle = np.cumsum(totals) - totals / 2
    return (middle[:, None] - middle[None, :]) ** 2
