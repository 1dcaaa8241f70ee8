"""What is odd about an annotator's answers, in words with numbers. A flag asks a person to look; nothing is dropped."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise as successive
from typing import Any

import numpy as np
from scipy.stats import binom

from harken.feedback.agreement import Estimate, mean_interval, resampled
from harken.feedback.position_bias import share
from harken.feedback.tables import FIRST, SECOND, Item, Said, Table

LEVEL = 0.99
"""Of the intervals that flags go by: many annotators are looked at, and few of them should be flagged by chance."""
ROUNDS = 5
"""How often annotators' weights are set by their agreement with the others, so weighted."""


@dataclass(frozen=True)
class FlagConfig:
    """When an annotator is flagged.

    Attributes:
        quick: median seconds below this are too quick.
        side: share of one side, among comparisons with a winner, that is too much even at the end of its interval.
        contradictions: share of own earlier answers that may be contradicted (more than this by a test at 5 %).
        duplicates: share of answers that say again what the same annotator said of the same.
        severity: mean distance from the others' grades, as a share of the scale, that is too much.
        least: items shared with others before anything is said of agreement; half as many for sides and grades.
    """

    quick: float = 1.0
    side: float = 0.7
    contradictions: float = 0.05
    duplicates: float = 0.25
    severity: float = 0.25
    least: int = 20


@dataclass(frozen=True)
class Flag:
    """Something odd.

    Attributes:
        annotator: whose answers.
        what: `one side`, `by chance`, `opposite`, `too quick`, `contradictions`, `circles`, `duplicates`,
            `one grade` or `severity`.
        text: in words, with numbers.
        figures: the numbers.
    """

    annotator: str
    what: str
    text: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Repeats:
    """What one annotator said more than once of the same.

    Attributes:
        asked: statements about something that the annotator had spoken of before.
        same: of these, the ones that say the same.
        opposite: of these, the ones that name the other side, choose another one, or are half the scale away.
    """

    asked: int = 0
    same: int = 0
    opposite: int = 0


def repeats(table: Table, annotator: str) -> Repeats:
    """How one annotator's repeats agree with what was said before."""
    said: dict[Item, list[int]] = {}
    for one in table.said:
        if one.annotator == annotator:
            said.setdefault(one.item, []).append(one.value)
    both = [pair for values in said.values() for pair in successive(values)]
    return Repeats(len(both), sum(a == b for a, b in both), sum(_opposite(table, a, b) for a, b in both))


def _opposite(table: Table, one: int, other: int) -> bool:
    if table.graded:
        return abs(one - other) * 2 >= len(table.values)
    return one != other if table.kind == "choice" else {one, other} == {FIRST, SECOND}


def circles(table: Table, annotator: str) -> tuple[int, int]:
    """Threes, each compared with each by one annotator, that go in a circle (a > b > c > a); and all such threes.

    Source: M. G. Kendall and B. Babington Smith 1940 (Biometrika 31); of answers by chance a quarter are circles.
    """
    beats: dict[str, dict[str, bool]] = {}
    for (who, item), said in table.last.items():
        if who == annotator and table.kind == "comparison" and said.value in (FIRST, SECOND):
            one, other = item.completions
            beats.setdefault(one, {})[other] = said.value == FIRST
            beats.setdefault(other, {})[one] = said.value == SECOND
    found = threes = 0
    for a, of_a in beats.items():
        for b in of_a:
            for c in of_a.keys() & beats[b].keys() if a < b else ():
                if b < c:
                    threes += 1
                    found += of_a[b] == beats[b][c] == beats[c][a]
    return found, threes


@dataclass(frozen=True)
class Sides:
    """How often one annotator chose the side shown first.

    Attributes:
        first: that often.
        decided: comparisons with a winner.
        others: the share of the side that this annotator was shown first, in the others' answers to the same pairs; NaN
            where there are none.
    """

    first: int
    decided: int
    others: float


def sides(table: Table, annotator: str) -> Sides:
    """The sides of one annotator's comparisons."""
    mine = [s for s in table.said if s.annotator == annotator and s.shown >= 0 and s.value in (FIRST, SECOND)]
    won = lost = 0
    own = {item: said.value for (who, item), said in table.last.items() if who == annotator}
    for one in mine:
        row = table.counts[table.place[one.item]].copy()
        if one.item in own:
            row[own[one.item]] -= 1
        won, lost = won + int(row[one.shown]), lost + int(row[SECOND - one.shown])
    others = won / (won + lost) if won + lost else math.nan
    return Sides(sum(one.value == one.shown for one in mine), len(mine), others)


def with_others(table: Table, weights: Mapping[str, float] | None = None, level: float = 0.95) -> dict[str, Estimate]:
    """Kappa of each annotator with the others, over the items that are shared; each item counts alike.

    Args:
        table: what was said.
        weights: how much each of the others counts; all alike, crowds by their heads, if not said.
        level: of the intervals.
    """
    counts, heard = _heard(table, weights)
    out = {}
    for name, row in zip(table.annotators, table.rows(), strict=True):
        places = np.fromiter(row.keys(), dtype=int, count=len(row))
        values = np.fromiter(row.values(), dtype=int, count=len(row))
        others = counts[places].copy()
        others[np.arange(len(row)), values] -= heard[name]
        kept = others.sum(1) > 1e-9
        if kept.any():
            said = np.eye(len(table.values))[values[kept]]
            shares = others[kept] / others[kept].sum(1, keepdims=True)
            out[name] = resampled(said[:, :, None] * shares[:, None, :], table.weights(), level)
    return out


def _heard(table: Table, weights: Mapping[str, float] | None) -> tuple[np.ndarray, Mapping[str, float]]:
    if weights is None:
        return table.counts.astype(float), dict.fromkeys(table.annotators, 1.0)
    counts = np.zeros(table.counts.shape)
    for (who, item), one in table.last.items():
        counts[table.place[item], one.value] += weights[who]
    return counts, weights


def trusted(table: Table) -> tuple[dict[str, Estimate], dict[str, float]]:
    """Kappa of each annotator with the others, who count by how far they agree themselves; and these weights.

    So several who answer at random, or the opposite, do not hide one another. What weights settle to is about the
    leading eigenvector of the matrix of kappas, which in the one-coin model holds the annotators' reliabilities.
    """
    weights = dict.fromkeys(table.annotators, 1.0)
    for _ in range(ROUNDS):
        found = with_others(table, weights, LEVEL)
        values = {name: found[name].value if name in found else math.nan for name in table.annotators}
        weights = {name: max(0.0, value) if not math.isnan(value) else 0.0 for name, value in values.items()}
        if not any(weights.values()):
            break
    return with_others(table, weights, LEVEL) if any(weights.values()) else {}, weights


def flags_of(table: Table, config: FlagConfig) -> Iterator[Flag]:
    """What is odd about annotators' answers in one table."""
    of = f"{table.kind}s" if table.criterion == "overall" else f"{table.kind}s of {table.criterion}"
    yield from _chance(table, config, of)
    for name in table.annotators:
        yield from _one_side(table, name, config)
        yield from _contradictions(table, name, config, of)
        if table.graded:
            yield from _grades(table, name, config, of)


def _chance(table: Table, config: FlagConfig, of: str) -> Iterator[Flag]:
    found, weights = trusted(table)
    shared = table.shared_with_others()
    for name, kappa in found.items():
        if shared[name] < config.least or math.isnan(kappa.low):
            continue
        others = [other for other in found if other != name and weights[other] > 0]
        if not any(found[other].low > 0 for other in others):
            continue  # where nobody agrees, nobody stands out
        usual = float(np.average([found[o].value for o in others], weights=[weights[o] for o in others]))
        said = f"kappa {kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f}) over {shared[name]} shared {of}"
        figures = {"kappa": kappa.value, "low": kappa.low, "high": kappa.high, "usual": usual, "items": shared[name]}
        if kappa.high < 0:
            yield Flag(name, "opposite", f"says the opposite of the others: {said}; usual is {usual:.2f}", figures)
        elif kappa.low <= 0 and kappa.high < usual:
            yield Flag(name, "by chance", f"agrees no more than chance would: {said}; usual is {usual:.2f}", figures)


def _one_side(table: Table, name: str, config: FlagConfig) -> Iterator[Flag]:
    found = sides(table, name)
    rate, low, high = share(found.first, found.decided)
    if found.decided < config.least / 2 or (low <= config.side and high >= 1 - config.side):
        return
    if not math.isnan(found.others) and low - 1e-9 <= found.others <= high + 1e-9:
        return  # the others chose it as often: it is the pairs, and not the annotator
    known = "" if math.isnan(found.others) else f"; of the same pairs the others chose it in {found.others:.0%}"
    text = f"chose the side shown first in {found.first} of {found.decided} ({low:.0%} to {high:.0%}){known}"
    yield Flag(name, "one side", text, {"share": rate, "low": low, "high": high, **asdict(found)})


def _contradictions(table: Table, name: str, config: FlagConfig, of: str) -> Iterator[Flag]:
    again = repeats(table, name)
    if _more(again.opposite, again.asked, config.contradictions):
        text = f"contradicted an earlier answer in {again.opposite} of {again.asked} {of} asked again"
        yield Flag(name, "contradictions", text, asdict(again))
    round_, threes = circles(table, name)
    if _more(round_, threes, config.contradictions):
        text = f"{round_} of {threes} threes of {of} go in a circle (a > b > c > a); by chance a quarter would"
        yield Flag(name, "circles", text, {"circles": round_, "threes": threes})
    said = sum(one.annotator == name for one in table.said)
    if again.same > config.duplicates * said:
        text = f"{again.same} of {said} {of} say again what was said before: were they taken in twice?"
        yield Flag(name, "duplicates", text, {"same": again.same, "answers": said})


def _more(count: int, total: int, share_: float) -> bool:
    """Whether so many are more than a share would give, by a test at 5 %."""
    return count > 0 and float(binom.sf(count - 1, total, share_)) <= 0.05 + 1e-12


def _grades(table: Table, name: str, config: FlagConfig, of: str) -> Iterator[Flag]:
    mine = [said for (who, _), said in table.last.items() if who == name]
    others = np.array([_others(table, said) for said in mine])
    values, known = np.array([said.value for said in mine]), others.sum(1) > 0
    varied = not known.any() or (others.sum(0) > 0).sum() > 1
    if len(mine) >= config.least / 2 and len(set(values)) == 1 and varied:
        text = f"gave the grade {table.values[values[0]]} to all of {len(mine)} {of}"
        yield Flag(name, "one grade", text, {"grade": int(values[0]) + 1, "answers": len(mine)})
    if known.sum() < config.least / 2:
        return
    theirs = others[known] @ np.arange(len(table.values)) / others[known].sum(1)
    off = mean_interval(values[known] - theirs, LEVEL)
    most = config.severity * (len(table.values) - 1)
    if off.low > most or off.high < -most:
        way = "above" if off.value > 0 else "below"
        text = f"grades {abs(off.value):.1f} {way} the others ({off.low:+.1f} to {off.high:+.1f}), {known.sum()} {of}"
        yield Flag(name, "severity", text, {**asdict(off), "items": int(known.sum())})


def _others(table: Table, said: Said) -> np.ndarray:
    row = table.counts[table.place[said.item]].copy()
    row[said.value] -= 1
    return np.asarray(row)


def too_quick(name: str, seconds: Sequence[float], config: FlagConfig) -> Iterator[Flag]:
    """Whether somebody answers quicker than anybody can look."""
    if len(seconds) < 3 or float(np.median(seconds)) >= config.quick:
        return
    under = sum(one < config.quick for one in seconds)
    text = f"half of the answers took {np.median(seconds):.2f} s or less; {under} of {len(seconds)} under "
    figures = {"median": float(np.median(seconds)), "under": under, "answers": len(seconds)}
    yield Flag(name, "too quick", f"{text}{config.quick:g} s", figures)
