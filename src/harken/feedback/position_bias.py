"""Does a judge prefer what it is shown first? Counted over replies to the same pair in both orders."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harken.data.lines import lines_of

NORMAL = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""


@dataclass(frozen=True)
class Judged:
    """What a judge said to one question.

    Attributes:
        judge: its id.
        shown: ids of the completions: two in the order of the first asking, or one to rate.
        replies: what it said, in words of the sides as they were shown; of a pair the second reply is to the other
            order. None where its reply could not be read, also when asked again.
        again: replies that could not be read at first.
    """

    judge: str
    shown: tuple[str, ...]
    replies: tuple[str | None, ...]
    again: int = 0

    @property
    def skipped(self) -> bool:
        """Whether it came to no answer."""
        return None in self.replies


@dataclass(frozen=True)
class JudgeReport:
    """A judge's work.

    Attributes:
        judge: its id; a judge is a model.
        pairs: pairs that were judged in both orders.
        disagreed: of these, pairs that were judged otherwise when the sides were changed.
        decisive: replies about these pairs that named a side.
        first: of those, replies that named the side shown first.
        ratings: completions that were rated.
        again: replies that could not be read and were asked for once more.
        skipped: questions that got no answer because a reply could not be read.
    """

    judge: str
    pairs: int
    disagreed: int
    decisive: int
    first: int
    ratings: int
    again: int
    skipped: int

    @property
    def disagreement(self) -> tuple[float, float, float]:
        """Share of pairs that were judged otherwise in the other order, with its interval."""
        return share(self.disagreed, self.pairs)

    @property
    def first_share(self) -> tuple[float, float, float]:
        """Share of the side shown first among replies that named a side, with its interval.

        Without a bias of position it is a half, whatever the answers are worth, for each pair is shown in both orders.
        The two replies about a pair count as independent, though a consistent judge's are opposite: its interval is
        too wide. Of a judge that goes by position they are the same, and its interval is too narrow.
        """
        return share(self.first, self.decisive)

    @property
    def favours(self) -> str | None:
        """`first` or `second`, if the interval of `first_share` leaves a half out."""
        _, low, high = self.first_share
        return "first" if low > 0.5 else "second" if high < 0.5 else None

    def to_json(self) -> dict[str, Any]:
        """Counts, shares and intervals as plain data; what is not defined is null."""
        shares = {"disagreement": self.disagreement, "first_share": self.first_share}
        plain = {k: None if math.isnan(v[0]) else dict(zip(SHARE, v, strict=True)) for k, v in shares.items()}
        return {**asdict(self), "judge_kind": "model", **plain, "favours": self.favours, "text": self.text()}

    def text(self) -> str:
        """One line for people."""
        said = [f"{self.judge} (a model) judged {self.pairs} pairs, each in both orders"]
        if self.pairs:
            said.append(f"{_shown(self.disagreed, self.disagreement)} otherwise when the sides were changed, and tied")
        if self.decisive:
            bias = f"it favours the {self.favours}" if self.favours else "no bias of position is seen"
            said.append(f"the side shown first won {_shown(self.first, self.first_share)} of {self.decisive}: {bias}")
        said.append(f"{self.ratings} ratings; {self.again} replies asked for again, {self.skipped} questions skipped")
        return "; ".join(said) + "."


SHARE = ("share", "low", "high")


def report_of(judge: str, judged: Sequence[Judged]) -> JudgeReport:
    """Counts over what one judge said; of repeats of a question the last one counts."""
    newest = {frozenset(one.shown): one for one in judged if one.judge == judge}.values()
    both = [one.replies for one in newest if len(one.shown) == 2 and not one.skipped]
    named = [reply for replies in both for reply in replies if reply in ("a", "b")]
    return JudgeReport(
        judge=judge,
        pairs=len(both),
        disagreed=sum(combined(replies)[1] for replies in both),
        decisive=len(named),
        first=named.count("a"),
        ratings=sum(len(one.shown) == 1 and not one.skipped for one in newest),
        again=sum(one.again for one in newest),
        skipped=sum(one.skipped for one in newest),
    )


TURNED = {"a": "b", "b": "a"}


def combined(replies: Sequence[str | None]) -> tuple[str, bool]:
    """What two replies to one pair in both orders say of the first order, and whether they disagree (then a tie).

    Source: Zheng 2023, 2306.05685, section 3.4 (a win only if both orders say so).
    """
    one, other = (str(reply) for reply in replies)
    other = TURNED.get(other, other)
    return (one, False) if one == other else ("tie", True)


def share(count: int, total: int) -> tuple[float, float, float]:
    """A share with Wilson's score interval of 95% (Wilson 1927, J. Am. Stat. Assoc. 22); NaN of nothing."""
    if not total:
        return math.nan, math.nan, math.nan
    p, square = count / total, NORMAL**2
    middle = (p + square / (2 * total)) / (1 + square / total)
    half = NORMAL / (1 + square / total) * math.sqrt(p * (1 - p) / total + square / (4 * total**2))
    return p, max(0.0, middle - half), min(1.0, middle + half)


def append(path: Path, judged: Judged) -> None:
    """Write one line more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as log:
        if log.tell():
            log.seek(-1, 2)
            # A process that was killed while it wrote leaves half a line.
            if log.read(1) != b"\n":
                log.write(b"\n")
        log.write(json.dumps(asdict(judged), ensure_ascii=False).encode() + b"\n")


def read(path: Path) -> list[Judged]:
    """What was written; half a line, of a process that was killed, is passed over."""
    out = []
    for line in lines_of(path, errors="replace") if path.exists() else ():
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            continue
        out.append(Judged(said["judge"], tuple(said["shown"]), tuple(said["replies"]), said["again"]))
    return out


def _shown(count: int, found: tuple[float, float, float]) -> str:
    p, low, high = (100 * value for value in found)
    return f"{count} ({p:.1f}%, {low:.1f} to {high:.1f})"
