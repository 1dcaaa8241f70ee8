"""What was said, by whom, and how well people agree: all that `harken feedback stats` shows, as plain data."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harken.feedback.agreement import (
    Agreement,
    Estimate,
    Metric,
    agreement_rate,
    alpha,
    disputes,
    fleiss_kappa,
    mean_kappa,
    pairwise,
)
from harken.feedback.flags import Flag, FlagConfig, Repeats, circles, flags_of, repeats, sides, too_quick, with_others
from harken.feedback.position_bias import share
from harken.feedback.records import kind_of
from harken.feedback.store import FeedbackStore
from harken.feedback.tables import Table, is_choice, tables
from harken.types import Answer, Completion, Edit, Prompt, Ranking, Rating, Text

PAIRED = 12
"""Up to so many annotators, each two are compared by name."""


@dataclass(frozen=True)
class Amount:
    """How much was said of one kind, on one criterion and scale; `people` counts the heads of crowds."""

    kind: str
    criterion: str
    levels: int | None
    answers: int
    people: int
    annotators: int


@dataclass(frozen=True)
class Agreed:
    """How far people agree in one table.

    Attributes:
        kind: see `Table`.
        criterion: what was judged.
        values: how many values there are to say.
        items: what was judged.
        shared: of these, by two people or more.
        rate: share of equal answers.
        cohen: mean of Cohen's kappa over each two annotators, weighted by squares for grades; NaN beyond 12 annotators.
        fleiss: Fleiss' kappa.
        alpha: Krippendorff's alpha by metric: nominal, and for grades ordinal and interval.
        pairs: each two annotators that share items.
    """

    kind: str
    criterion: str
    values: int
    items: int
    shared: int
    rate: Estimate
    cohen: float
    fleiss: Estimate
    alpha: Mapping[str, Estimate]
    pairs: tuple[Agreement, ...]


@dataclass(frozen=True)
class Judged:
    """One item that two people or more spoke about.

    Attributes:
        kind: of the table.
        criterion: what was judged.
        prompt: the prompt's words; of two prompts both.
        completions: ids.
        said: how many people said what.
        disagreement: of two who answered it, how far they are apart on average, 0..1.
    """

    kind: str
    criterion: str
    prompt: str
    completions: tuple[str, ...]
    said: Mapping[str, int]
    disagreement: float


@dataclass(frozen=True)
class Profile:
    """One annotator.

    Attributes:
        id: the annotator's.
        kind: human, simulated or model.
        answers: how many.
        people: with the heads of a crowd; `crowd` says whether it is one.
        crowd: whether its members are not told apart; then there is nothing more to say of it.
        kappa: with the others, by table (`comparison overall`), with its interval.
        shared: items that others spoke about too.
        first: comparisons in which the side shown first was chosen.
        decided: comparisons with a winner.
        entropy: of what was said, as a share of what it could be; 0 is always the same.
        seconds: median time of an answer; None if unknown.
        repeats: what was said again.
        circles: threes of comparisons that go in a circle, as in `flags.circles`.
        threes: all such threes.
    """

    id: str
    kind: str
    answers: int
    people: int
    crowd: bool = False
    kappa: Mapping[str, Estimate] = field(default_factory=dict)
    shared: int = 0
    first: int = 0
    decided: int = 0
    entropy: float = math.nan
    seconds: float | None = None
    repeats: Repeats = field(default_factory=Repeats)
    circles: int = 0
    threes: int = 0

    def mean_kappa(self) -> float:
        """Mean over tables."""
        found = [one.value for one in self.kappa.values() if not math.isnan(one.value)]
        return float(np.mean(found)) if found else math.nan


@dataclass(frozen=True)
class Stats:
    """Everything; `items` holds what was shared, the most disputed first."""

    amounts: tuple[Amount, ...]
    agreement: tuple[Agreed, ...]
    items: tuple[Judged, ...]
    annotators: tuple[Profile, ...]
    flags: tuple[Flag, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data; what is not defined is null."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        for row, one in zip(plain["annotators"], self.annotators, strict=True):
            row["first_share"] = _without_nan(list(share(one.first, one.decided)))
        return plain


def feedback_stats(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    answers: Sequence[Answer],
    config: FlagConfig | None = None,
) -> Stats:
    """Count, compare and look for what is odd.

    Args:
        prompts: what was asked.
        completions: what was judged.
        answers: what was said, in order of time, amended answers left out.
        config: when annotators are flagged.
    """
    config, by_id = config or FlagConfig(), {completion.id: completion for completion in completions}
    found = tables(answers, by_id)
    profiles = _profiles(answers, found)
    flags = [flag for table in found for flag in flags_of(table, config)]
    seconds: dict[str, list[float]] = {}
    for answer in answers:
        if answer.seconds is not None:
            seconds.setdefault(answer.annotator, []).append(answer.seconds)
    flags += [flag for name, times in seconds.items() for flag in too_quick(name, times, config)]
    return Stats(
        _amounts(answers),
        tuple(_agreed(table) for table in found),
        _items(found, {prompt.id: prompt for prompt in prompts}, by_id),
        profiles,
        tuple(sorted(flags, key=lambda flag: (flag.annotator, flag.what))),
    )


def place_of(place: str) -> str | Path:
    """The store that a path names: a run's folder, a file, or a database URL; nothing is made where nothing is.

    Raises:
        FileNotFoundError: if there is none.
    """
    if "://" in place:
        return place
    path = Path(place)
    if path.is_dir():
        path = path / "feedback.db"
    if not path.is_file():
        raise FileNotFoundError(f"there is no feedback store {path}; give a run's folder, a feedback.db or a URL")
    return path


def stats_of(place: str, config: FlagConfig | None = None) -> Stats:
    """All of a store: a run's folder, the file in it, or a database URL.

    Raises:
        FileNotFoundError: if there is none.
        StoreError: if it cannot be opened.
    """
    with FeedbackStore(place_of(place)) as store:
        return feedback_stats(store.prompts(), store.completions(), store.answers(), config)


def write_json(path: Path, stats: Stats) -> None:
    """Write all figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stats.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _amounts(answers: Sequence[Answer]) -> tuple[Amount, ...]:
    found: dict[tuple[str, str, int], list[Answer]] = {}
    for answer in answers:
        said = answer.feedback
        kind = "choice" if isinstance(said, Ranking) and is_choice(said) else kind_of(said)
        criterion = "" if isinstance(said, Edit) else said.criterion
        found.setdefault((kind, criterion, said.levels if isinstance(said, Rating) else 0), []).append(answer)
    return tuple(
        Amount(
            kind,
            criterion,
            levels or None,
            len(given),
            sum(answer.count for answer in given),
            len({answer.annotator for answer in given}),
        )
        for (kind, criterion, levels), given in sorted(found.items())
    )


def _agreed(table: Table) -> Agreed:
    named = pairwise(table) if len(table.annotators) <= PAIRED else []
    metrics: tuple[Metric, ...] = ("nominal", "ordinal", "interval") if table.graded else ("nominal",)
    return Agreed(
        table.kind,
        table.criterion,
        len(table.values),
        len(table.items),
        len(table.shared_counts()),
        agreement_rate(table),
        mean_kappa(named),
        fleiss_kappa(table),
        {metric: alpha(table, metric) for metric in metrics},
        tuple(pair for pair in named if pair.shared),
    )


def _items(
    found: Sequence[Table], prompts: Mapping[str, Prompt], completions: Mapping[str, Completion]
) -> tuple[Judged, ...]:
    out = []
    for table in found:
        for item, counts, apart in zip(table.items, table.counts, disputes(table), strict=True):
            if counts.sum() > 1:
                words = " / ".join(_words(prompts[name]) for name in dict.fromkeys(item.prompts))
                names = list(table.values)
                if table.kind in ("comparison", "ranking"):
                    one, other = (completions[name].text for name in item.completions)
                    names = [f"1: {one}", f"2: {other}" if one != other else f"2: {other} (the same words)", *names[2:]]
                said = {names[v]: int(count) for v, count in enumerate(counts) if count}
                out.append(Judged(table.kind, table.criterion, words, item.completions, said, float(apart)))
    return tuple(sorted(out, key=lambda one: (-one.disagreement, -sum(one.said.values()))))


def _words(prompt: Prompt) -> str:
    parts = [part for message in prompt.messages for part in message.parts]
    return " ".join(p.text if isinstance(p, Text) else f"[{type(p).__name__.lower()} {p.sha256[:8]}]" for p in parts)


def _profiles(answers: Sequence[Answer], found: Sequence[Table]) -> tuple[Profile, ...]:
    mine: dict[str, list[Answer]] = {}
    for answer in answers:
        mine.setdefault(answer.annotator, []).append(answer)
    kappas = [(f"{table.kind} {table.criterion}", table, with_others(table)) for table in found]
    crowds = {name for table in found for name in table.crowds}
    return tuple(_profile(name, given, kappas, name in crowds) for name, given in sorted(mine.items()))


def _profile(
    name: str, given: Sequence[Answer], kappas: Sequence[tuple[str, Table, Mapping[str, Estimate]]], crowd: bool
) -> Profile:
    known = [answer.seconds for answer in given if answer.seconds is not None]
    seconds = float(np.median(known)) if known else None
    whole = Profile(name, given[0].annotator_kind, len(given), sum(a.count for a in given), crowd, seconds=seconds)
    spoken = [(label, table, found) for label, table, found in kappas if name in table.annotators]
    if crowd or not spoken:
        return whole
    again = [repeats(table, name) for _, table, _ in spoken]
    shown = [sides(table, name) for _, table, _ in spoken]
    rounds = [circles(table, name) for _, table, _ in spoken]
    return replace(
        whole,
        kappa={label: found[name] for label, _, found in spoken if name in found},
        shared=sum(table.shared_with_others()[name] for _, table, _ in spoken),
        first=sum(one.first for one in shown),
        decided=sum(one.decided for one in shown),
        entropy=float(np.mean([_entropy(table, name) for _, table, _ in spoken])),
        repeats=Repeats(sum(r.asked for r in again), sum(r.same for r in again), sum(r.opposite for r in again)),
        circles=sum(one for one, _ in rounds),
        threes=sum(threes for _, threes in rounds),
    )


def _entropy(table: Table, name: str) -> float:
    """Of the sides shown, for comparisons; else of the values."""
    mine = [one for one in table.said if one.annotator == name]
    said = Counter(one.value != one.shown if one.shown >= 0 and one.value < 2 else one.value for one in mine)
    shares = np.array(list(said.values())) / len(mine)
    return float(-(shares * np.log(shares)).sum() / math.log(len(table.values))) + 0.0


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
