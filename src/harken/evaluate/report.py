"""One self-contained HTML page that says whether a model got better, and shows why one may believe it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harken.data.whole import whole
from harken.evaluate.embed import Embedded, embed
from harken.evaluate.explain.shown import Explained, longest_bars
from harken.evaluate.svg import check_svg
from harken.types import AnnotatorKind

Part = str | bytes  # words, or the bytes of a picture (png, jpeg, webp) or of a sound (wav, flac, ogg, mp3)
Tone = Literal["plain", "good", "bad"]


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure in a card at the top.

    Attributes:
        label: what it is.
        value: the figure as text, with its unit.
        hint: what to compare it with: an interval, a goal, a ceiling.
        tone: whether it met its goal; `plain` where it has none.
    """

    label: str
    value: str
    hint: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header; the first column names the row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing (from `harken.evaluate.plots`); the caption says what it shows and how to read it."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """Drawings that belong together."""

    title: str
    plots: tuple[Plot, ...]
    intro: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """What was found of an answer, such as Mark("exact", tone="good") or Mark("gold", "0.82")."""

    label: str
    value: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer with its marks."""

    text: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt with the answers before and after."""

    prompt: tuple[Part, ...]
    before: Shown
    after: Shown
    reference: str = ""
    winner: Literal["before", "after", "tie"] = "tie"
    task: str = ""


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """One statement of one annotator."""

    kind: str
    annotator: str
    annotator_kind: AnnotatorKind
    prompt: tuple[Part, ...]
    statement: str


@dataclass(frozen=True, slots=True)
class StageRow:
    """What one stage took; `skipped` when its artefact was there already."""

    name: str
    seconds: float
    peak_mib: float | None = None
    skipped: bool = False


@dataclass(frozen=True)
class Report:
    """All that the page shows; what is empty is left out.

    Attributes:
        title: of the page.
        subtitle: what was compared, on how much, in one sentence.
        notice: what a reader must know before any figure, such as that the annotators are simulated.
        headlines: the few figures that decide.
        tables: all the figures.
        sections: the drawings.
        examples: answers side by side.
        examples_note: how they were chosen, and who decided which is better.
        explained: answers of the later model, taken apart (`evaluate/explain`).
        explained_note: which they are, and how that was done.
        before_name: what the earlier model is called.
        after_name: what the later one is called.
        feedback: some of what was said.
        feedback_note: how much there was in all, and from whom.
        stages: time and memory.
        settings: the resolved recipe.
        machine: versions and hardware, name -> value.
        kind: what sort of page it is, in the line above the title.
    """

    title: str
    subtitle: str = ""
    notice: str = ""
    headlines: tuple[Headline, ...] = ()
    tables: tuple[Table, ...] = ()
    sections: tuple[Section, ...] = ()
    examples: tuple[Example, ...] = ()
    examples_note: str = ""
    explained: tuple[Explained, ...] = ()
    explained_note: str = ""
    before_name: str = "before"
    after_name: str = "after"
    feedback: tuple[FeedbackRow, ...] = ()
    feedback_note: str = ""
    stages: tuple[StageRow, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    kind: str = "evaluation report"


def write_report(path: Path, report: Report) -> Path:
    """Write the page; it is whole or it is not there. The same report gives the same bytes.

    Args:
        path: of the HTML file; its folder is made when missing.
        report: what to show.

    Returns:
        The path.

    Raises:
        ValueError: media that a page cannot hold, a drawing that is not a plain SVG, or a table with ragged rows.
    """
    # A model may emit half of a surrogate pair; the page shows it as "?".
    data = render(report).encode("utf-8", errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as out:
        out.write(data)
    return path


def render(report: Report) -> str:
    """The page as text.

    Raises:
        ValueError: as `write_report`.
    """
    for table in report.tables:
        ragged = [row for row in table.rows if len(row) != len(table.header)]
        if ragged:
            raise ValueError(f"table {table.caption!r}: {len(table.header)} columns, but a row is {ragged[0]}")
    return (
        templates()
        .get_template("report.html.jinja")
        .render(
            report=report,
            settings=settings_block(report.settings),
            total_seconds=sum(stage.seconds for stage in report.stages),
            bars=longest_bars(report.explained),
            longest=max((stage.seconds for stage in report.stages), default=0.0),
        )
    )


def templates() -> Environment:
    """What renders the pages of this room."""
    environment = Environment(
        loader=PackageLoader("harken.evaluate", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["duration"] = duration
    environment.filters["embed"] = embedded
    environment.filters["drawing"] = drawing
    return environment


def embedded(parts: tuple[Part, ...]) -> list[Embedded]:
    """The parts of a prompt, ready for the page."""
    return [embed(part) for part in parts]


def drawing(svg: str) -> Markup:
    """A drawing that was checked, and so may stand in the page unescaped."""
    return Markup(check_svg(svg))


def settings_block(settings: Mapping[str, Any]) -> str:
    """Nested settings as YAML, in the order that they were given."""
    return yaml.safe_dump(plain(settings), sort_keys=False, allow_unicode=True, width=100) if settings else ""


def plain(value: Any) -> Any:
    """Mappings, sequences and paths as YAML knows them."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.4 s, 42 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
