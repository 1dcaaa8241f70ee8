"""`harken feedback`: what was said, by whom, and how well people agree. Loads no torch, so that it begins at once."""

import math
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from harken.cli.exchange import backup, export, forget, import_
from harken.cli.words import in_words
from harken.feedback.agreement import Estimate
from harken.feedback.flags import FlagConfig
from harken.feedback.position_bias import share
from harken.feedback.stats import Agreed, Profile, Stats, stats_of, write_json

app = typer.Typer(add_completion=False, no_args_is_help=True)
app.command("import")(import_)
app.command("export")(export)
app.command("forget")(forget)
app.command("backup")(backup)
console = Console()
KINDS = {"human": "person", "simulated": "SIMULATED", "model": "MODEL"}
LETTERS = 60

PLACE = typer.Argument(..., metavar="STORE", help="A run's folder, its feedback.db, or a database URL")
JSON = typer.Option(None, "--json", metavar="FILE", help="Write all figures there too.", show_default=False)
DISPUTED = typer.Option(5, "--disputed", min=0, help="Show so many of the most disputed items.")
MOST = typer.Option(30, "--annotators", min=1, help="Show so many annotators; those with flags come first.")
QUICK = typer.Option(1.0, "--quick", min=0, help="A median under so many seconds is too quick.")
LEAST = typer.Option(20, "--least", min=2, help="Items to share with others before agreement is tested.")


@app.callback(help="What people said: how well they agree, in and out, copied, forgotten.")
def feedback() -> None:
    """A group."""


@app.command(
    "stats",
    help="Answers by kind, agreement (Cohen's and Fleiss' kappa, Krippendorff's alpha), the most disputed items, each "
    "annotator, and FLAGS: always one side, by chance, too quick, contradictions. Nothing is dropped. How to read it: "
    "docs/feedback.md.\n\n"
    "harken feedback stats runs/demo --json stats.json",
)
def stats(
    place: str = PLACE,
    json_file: Path | None = JSON,
    disputed: int = DISPUTED,
    most: int = MOST,
    quick: float = QUICK,
    least: int = LEAST,
) -> None:
    """Read, compute, print."""
    with in_words():
        found = stats_of(place, FlagConfig(quick=quick, least=least))
        if json_file is not None:
            write_json(json_file, found)
    print_stats(console, found, disputed, most)


def print_stats(out: Console, found: Stats, disputed: int, most: int) -> None:
    """All tables, and the flags last."""
    if not found.amounts:
        out.print("no answers yet")
        return
    out.print(_amounts(found))
    if found.agreement:
        out.print(_agreement(found))
        if not any(one.shared for one in found.agreement):
            out.print("nothing was asked of two annotators, so nothing can be said of agreement: feedback.overlap=2")
    for agreed in found.agreement:
        if 1 < len(agreed.pairs) + 1 <= 11:
            out.print(_pairs(agreed))
    if found.items and disputed:
        out.print(_disputed(found, disputed))
    out.print(_annotators(found, most))
    if not found.flags:
        out.print("FLAGS: none")
        return
    out.print(f"FLAGS: {len(found.flags)}; each asks for a look, and nothing was dropped", style="bold")
    for flag in found.flags:
        out.print(
            f"  {flag.annotator}: {flag.what.upper()}: {flag.text}", highlight=False, soft_wrap=True, markup=False
        )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(name, overflow="fold", justify="left" if place == 0 else "right")
    return table


def _amounts(found: Stats) -> Table:
    table = _table("Answers", "kind", "criterion", "answers", "of people", "annotators")
    for one in found.amounts:
        kind = one.kind if one.levels is None else f"{one.kind}, 1 to {one.levels}"
        table.add_row(kind, one.criterion or "-", f"{one.answers}", f"{one.people}", f"{one.annotators}")
    return table


def _agreement(found: Stats) -> Table:
    names = ("nominal", "ordinal", "interval")
    columns = ("kind", "items", "by two or more", "equal", "Cohen's kappa", "Fleiss' kappa")
    rows = []
    for one in found.agreement:
        alphas = [shown(one.alpha[name]) if name in one.alpha else "" for name in names]
        kind = f"{one.kind} {one.criterion}" + (f", 1 to {one.values}" if one.kind == "rating" else "")
        figures = (shown(one.rate), _number(one.cohen), shown(one.fleiss), *alphas)
        rows.append((kind, f"{one.items}", f"{one.shared}", *figures))
    title = "Agreement (95 % intervals over items)"
    return _filled(title, (*columns, *(f"alpha, {name}" for name in names)), rows)


def _pairs(agreed: Agreed) -> Table:
    table = _table(f"Each two, {agreed.kind} {agreed.criterion}", "annotators", "shared", "equal", "Cohen's kappa")
    for pair in agreed.pairs:
        equal = f"{pair.agreed / pair.shared:.2f}"
        table.add_row(f"{pair.first} and {pair.second}", f"{pair.shared}", equal, _number(pair.kappa))
    return table


def _disputed(found: Stats, most: int) -> Table:
    table = Table(title=f"Most disputed, {min(most, len(found.items))} of {len(found.items)} shared items")
    table.title_justify = "left"
    for name in ("kind", "prompt", "said by so many", "apart"):
        table.add_column(name, overflow="fold")
    for one in found.items[:most]:
        said = "\n".join(f"{count} x {_short(what)}" for what, count in one.said.items())
        table.add_row(f"{one.kind}\n{one.criterion}", _plain(one.prompt), _plain(said), f"{one.disagreement:.2f}")
    return table


def _annotators(found: Stats, most: int) -> Table:
    flagged: dict[str, list[str]] = {}
    for flag in found.flags:
        if flag.what not in flagged.setdefault(flag.annotator, []):
            flagged[flag.annotator].append(flag.what)
    columns = ("who", "answers", "kappa with others", "shared", "shown first", "entropy", "seconds", "again, same")
    ordered = sorted(found.annotators, key=lambda one: (one.id not in flagged, -one.answers, one.id))
    rows = [(*_profile(one), ", ".join(flagged.get(one.id, []))) for one in ordered[:most]]
    title = f"Annotators, {min(most, len(found.annotators))} of {len(found.annotators)}"
    return _filled(title, ("annotator", *columns, "circles", "FLAGS"), rows)


def _filled(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without the columns in which nothing stands."""
    kept = [n for n in range(len(columns)) if any(row[n] for row in rows)]
    table = _table(title, *(columns[n] for n in kept))
    for row in rows:
        table.add_row(*(row[n] for n in kept))
    return table


def _profile(one: Profile) -> tuple[str, ...]:
    who = KINDS[one.kind] + (f", a crowd of {one.people} answers" if one.crowd else "")
    single = next(iter(one.kappa.values())) if len(one.kappa) == 1 else Estimate(one.mean_kappa())
    first, _, _ = share(one.first, one.decided)
    return (
        _plain(one.id),
        who,
        f"{one.answers}",
        shown(single),
        f"{one.shared}" if one.shared else "",
        f"{first:.0%} of {one.decided}" if one.decided else "",
        _number(one.entropy),
        "" if one.seconds is None else f"{one.seconds:.1f}",
        f"{one.repeats.same} of {one.repeats.asked}" if one.repeats.asked else "",
        f"{one.circles} of {one.threes}" if one.threes else "",
    )


def shown(one: Estimate) -> str:
    """A figure with its interval; empty where it is not defined."""
    if math.isnan(one.value):
        return ""
    return f"{one.value:.2f}" if math.isnan(one.low) else f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _short(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 3] + "..."


def _plain(text: str) -> str:
    """What people wrote, with rich's brackets as brackets."""
    return text.replace("[", "\\[")
