"""CSV for spreadsheets: a row an answer, and what it speaks of in words.

Cells that a spreadsheet would take for a formula (first letter = + - @, tab or line break) begin with an apostrophe,
as OWASP advises ("CSV Injection"); reading takes it away again. Media are named by their hash and not held: they are
counted, and to read the file again their bytes must lie in the blobs. Everything else that an answer is, is held.
Prompts and completions that nobody spoke of are not, and counted.

Tables of other programs have one of these heads, and may have annotator, criterion and seconds:
    prompt, a, b, choice (a, b, tie, both_bad)      prompt, chosen, rejected
    prompt, completion, score, levels               prompt, completion, revision
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harken.data.blobs import Blobs
from harken.feedback.exchange.foreign import Foreign, single
from harken.feedback.exchange.parcel import (
    FIELD,
    Parcel,
    Tally,
    count_left,
    from_json,
    parcel,
    refuse_changed,
    to_text,
)
from harken.feedback.exchange.tables import DataError, read_table
from harken.feedback.exchange.turns import as_text, media
from harken.feedback.records import kind_of, named_completions
from harken.feedback.store import FeedbackStore
from harken.types import (
    MEDIA,
    Answer,
    Choice,
    Comparison,
    Completion,
    Edit,
    Feedback,
    Message,
    Prompt,
    Ranking,
    Rating,
    Text,
)

SUFFIXES = (".csv",)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
COLUMNS = (
    "key",
    "annotator",
    "annotator_kind",
    "kind",
    "criterion",
    "prompt",
    "completions",
    "said",
    "seconds",
    "amends",
    "count",
    FIELD,
)
CHOICES: dict[str, Choice] = {"a": "a", "b": "b", "tie": "tie", "both_bad": "both_bad"}


def write(store: FeedbackStore, blobs: Blobs, out: BinaryIO, suffix: str = ".csv") -> Tally:
    """Write all answers, as they come out of the store."""
    tally = Tally()
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    rows = csv.DictWriter(text, COLUMNS)
    rows.writeheader()
    for item in store.stream():
        for answer in item.answers:
            cells = _cells(parcel(item, [answer]))
            rows.writerow({name: escape(cell) for name, cell in cells.items()})
            tally.records += 1
        if item.answers:
            tally.left["media (named by their hash)"] += len({one for m in MEDIA for one in media(item.prompt, m)})
        count_left(tally, item, item.answers)
    tally.left = +tally.left
    text.detach()
    return tally


def read(file: Path, blobs: Blobs, levels: int = 5) -> Iterator[Parcel]:
    """Read a table, harken's own or one of another program.

    Raises:
        DataError: what is wrong, and in which row.
    """
    foreign = Foreign("table", file, blobs, levels)
    for record in read_table(file.name, file.read_bytes(), "csv"):
        if record.error is not None:
            raise DataError(f"{record.place}: {record.error}")
        given = {name: cell for name, cell in record.fields.items() if not name.startswith("@")}
        row = {name: unescape(cell, FIELD in given) for name, cell in given.items()}
        yield _own(row, record.place, blobs) if row.get(FIELD) else _others(row, record.place, foreign)


def escape(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula. An apostrophe is doubled, so that nothing is lost."""
    return f"'{cell}" if cell.startswith((*FORMULA, "'")) else cell


def unescape(cell: str, doubled: bool = True) -> str:
    """What `escape` was given.

    Args:
        cell: of the table.
        doubled: whether apostrophes were doubled, as harken does and others do not.
    """
    first = (*FORMULA, "'") if doubled else FORMULA
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(first) else cell


def _cells(given: Parcel) -> dict[str, str]:
    answer = given.answers[0]
    said = answer.feedback
    texts = {completion.id: completion.text for completion in given.completions}
    criterion = "" if isinstance(said, Edit) else said.criterion
    return {
        "key": answer.key,
        "annotator": answer.annotator,
        "annotator_kind": answer.annotator_kind,
        "kind": kind_of(said),
        "criterion": criterion,
        "prompt": as_text(given.prompts[0]),
        "completions": json.dumps([texts[name] for name in named_completions(said)], ensure_ascii=False),
        "said": _in_words(said),
        "seconds": "" if answer.seconds is None else repr(answer.seconds),
        "amends": answer.amends or "",
        "count": str(answer.count),
        FIELD: to_text(given),
    }


def _in_words(said: Feedback) -> str:
    """What was said of the completions, which are numbered as they stand in their column."""
    match said:
        case Comparison(choice=choice):
            return choice
        case Rating(score=score, levels=levels):
            return f"{score} of {levels}"
        case Edit(revision=revision):
            return revision
        case Ranking(tiers=tiers, rest=rest):
            sizes = [str(len(tier)) for tier in tiers] + ([f"{len(rest)} not ranked"] if rest else [])
            return " > ".join(sizes)


def _own(row: Mapping[str, str], place: str, blobs: Blobs) -> Parcel:
    given = from_json(row[FIELD], place)
    if len(given.answers) != 1 or not given.prompts:
        raise DataError(f"{place}: the column {FIELD!r} must hold one answer")
    try:
        refuse_changed(row, _cells(given), place)
    except KeyError as error:
        raise DataError(f"{place}: the column {FIELD!r} lacks completion {error}") from error
    for prompt in given.prompts:
        for one in (one for modality in MEDIA for one in media(prompt, modality)):
            if one not in blobs:
                raise DataError(
                    f"{place}: prompt {prompt.id!r} shows {one}, which is not in {blobs.folder}; a table holds no "
                    "media: copy the blobs there first, or bring the feedback over as --format parquet"
                )
    return given


def _others(row: Mapping[str, str], place: str, foreign: Foreign) -> Parcel:
    if not row.get("prompt"):
        raise DataError(f"{place}: no 'prompt'; the heads of tables that are read stand in docs/exchange.md")
    prompt = foreign.prompt((Message("user", (Text(row["prompt"]),)),), place)
    made, said = _statement(row, place, foreign, prompt)
    seconds: Any = row.get("seconds") or None
    if seconds is not None:
        try:
            seconds = float(seconds)
        except ValueError as error:
            raise DataError(f"{place}: seconds is {seconds!r}, which is no number") from error
    about = {completion.id: completion for completion in made}
    answer: Answer = foreign.answer(said, about, place, row.get("annotator") or None, seconds=seconds)
    return single(prompt, made, (answer,))


def _statement(
    row: Mapping[str, str], place: str, foreign: Foreign, asked: Prompt
) -> tuple[list[Completion], Feedback]:
    def make(texts: list[str]) -> list[Completion]:
        return foreign.pair(asked, texts, [None] * len(texts), place)

    criterion, prompt = row.get("criterion") or "overall", asked.id
    if "a" in row and "b" in row:
        if row.get("choice") not in CHOICES:
            raise DataError(f"{place}: choice is {row.get('choice')!r}; it is one of {', '.join(CHOICES)}")
        a, b = make([row["a"], row["b"]])
        return [a, b], Comparison(prompt, a.id, b.id, CHOICES[row["choice"]], criterion)
    if "chosen" in row and "rejected" in row:
        a, b = make([row["chosen"], row["rejected"]])
        return [a, b], Comparison(prompt, a.id, b.id, "a", criterion)
    if "completion" in row and "score" in row:
        (one,) = make([row["completion"]])
        levels = _whole(row["levels"], "levels", place) if row.get("levels") else foreign.levels
        return [one], Rating(prompt, one.id, _whole(row["score"], "score", place), levels, criterion)
    if "completion" in row and "revision" in row:
        (one,) = make([row["completion"]])
        return [one], Edit(prompt, one.id, row["revision"])
    raise DataError(
        f"{place}: the columns are {', '.join(row)}; harken reads prompt with a, b, choice; chosen, rejected; "
        "completion, score; or completion, revision. For others write a mapping (harken data import)"
    )


def _whole(cell: str, name: str, place: str) -> int:
    try:
        return int(cell)
    except ValueError as error:
        raise DataError(f"{place}: {name} is {cell!r}, which is no whole number") from error
