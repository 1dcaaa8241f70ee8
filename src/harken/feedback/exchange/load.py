"""A data set comes in: its media into `blobs/`, the rest into `feedback.db`, and its prompts into `prompts.jsonl`."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from harken.data.blobs import Blobs
from harken.data.record import write_record
from harken.data.whole import whole
from harken.feedback.exchange.folder import Folder
from harken.feedback.exchange.forms import LIST
from harken.feedback.exchange.mapping import ImportMapping
from harken.feedback.exchange.media import MediaDoor
from harken.feedback.exchange.read import Harvest, Reader, parts_of, records
from harken.feedback.exchange.said import Said, fields_of
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.templates import RecordError
from harken.feedback.records import kind_of
from harken.feedback.store import FeedbackStore
from harken.types import Prompt, Text

STORE, BLOBS, PROMPTS = "feedback.db", "blobs", "prompts.jsonl"


class Stopped(Exception):
    """Somebody asked to stop; nothing was added to the store."""


@dataclass(frozen=True)
class Imported:
    """What an import found.

    Attributes:
        records: how many were read, the bad ones included.
        prompts: how many prompts they make.
        completions: how many completions.
        answers: by kind, how many answers.
        people: all answers, those of a crowd counted.
        annotators: how many annotators.
        media: by kind, how many media.
        skipped: the errors of the records that were left out.
        notices: what else a user should know.
        new: how many prompts, completions and answers the store did not have.
    """

    records: int
    prompts: int
    completions: int
    answers: Counter[str]
    people: int
    annotators: int
    media: Counter[str]
    skipped: tuple[str, ...]
    notices: tuple[str, ...]
    new: tuple[int, int, int]


def import_data(
    mapping: ImportMapping,
    data: Path,
    out: Path,
    limit: int | None = None,
    skip_bad: bool = False,
    told: Callable[[str, int], bool] = lambda step, done: False,
) -> Imported:
    """Bring a data set in. Doing so again adds nothing.

    Args:
        mapping: how its files become feedback.
        data: the folder that it lies in; nothing outside of it is read.
        out: the folder that receives it.
        limit: read so many records at most.
        skip_bad: leave bad records out, instead of refusing all at the first.
        told: called with the step and how much of it is done; says whether to stop.

    Raises:
        DataError: if a file, or without `skip_bad` a record, is wrong; if all records are. Nothing is stored then.
        StoreError: if the store holds something else under an id.
        Stopped: if `told` said so.
    """
    _refuse_place(data, out)
    # One flush of all media in the end, and before the store says that they are there: a flush each takes minutes.
    blobs = Blobs(out / BLOBS, flush=False)
    skipped: list[str] = []
    count = 0
    with Folder(data) as folder:
        reader = Reader(mapping, MediaDoor(folder, blobs))
        for count, record in enumerate(islice(records(mapping, folder), limit), start=1):
            try:
                reader.take(record)
            except RecordError as error:
                if not skip_bad:
                    raise DataError(f"{data / record.place}: {error}") from error
                skipped.append(f"{record.place}: {error}")
            if told("reading records", count):
                raise Stopped
    harvest = reader.harvest
    if not harvest.prompts:
        why = f"all {count} records are bad; the first: {skipped[0]}" if skipped else "there are no records"
        raise DataError(f"{data}: {why}")
    blobs.settle()
    new = _keep(harvest, out, told)
    answers = harvest.answers.values()
    return Imported(
        count,
        len(harvest.prompts),
        len(harvest.completions),
        Counter(kind_of(answer.feedback) for answer in answers),
        sum(answer.count for answer in answers),
        len({answer.annotator for answer in answers}),
        parts_of(list(harvest.prompts.values())),
        tuple(skipped),
        tuple(_notices(mapping, harvest)),
        new,
    )


def _refuse_place(data: Path, out: Path) -> None:
    """Refuse to write among the data, or over somebody's file."""
    if os.path.realpath(data) == os.path.realpath(out):
        raise DataError(f"{out} is the data's own folder; give another one with --out")
    if (out / PROMPTS).exists() and not (out / STORE).exists():
        raise DataError(
            f"{out / PROMPTS} is there and no {STORE} beside it, so harken did not write it; give another --out"
        )


def _notices(mapping: ImportMapping, harvest: Harvest) -> Iterator[str]:
    """What was read and not kept twice, and what was looked for and not found."""
    if harvest.repeated:
        yield f"{harvest.repeated} answers are in several files word for word, and were taken once"
    if harvest.silent:
        yield f"{harvest.silent} records say nothing: their prompts came in without answers"
    for i, answer in enumerate(mapping.answers):
        form = answer.form
        fields = fields_of(form) if isinstance(form, Said) else ()
        # Several fields of ranks are one list.
        if isinstance(form, Said) and form.blanks and not any(name in harvest.read for name in (*fields, LIST)):
            yield f"answers.{i}: no record says anything in {', '.join(fields)}; is that the field's name?"


def _keep(harvest: Harvest, out: Path, told: Callable[[str, int], bool]) -> tuple[int, int, int]:
    told("writing answers", 0)
    with FeedbackStore(out / STORE) as store:
        before = store.counts()
        store.add_prompts(harvest.prompts.values())
        store.add_completions(harvest.completions.values())
        store.add_answers(list(harvest.answers.values()))
        after = store.counts()
        _write_prompts(store.prompts(), out)
    told("writing answers", len(harvest.answers))
    return (
        after["prompts"] - before["prompts"],
        after["completions"] - before["completions"],
        after["answers"] - before["answers"],
    )


def _write_prompts(prompts: list[Prompt], out: Path) -> None:
    """All prompts of the store as `load_prompts` reads them; their media are the blobs themselves, not copies."""
    with whole(out / PROMPTS) as file:
        for prompt in prompts:
            names = [part.sha256 for m in prompt.messages for part in m.parts if not isinstance(part, Text)]
            record = write_record(prompt, {name: f"{BLOBS}/{name[:2]}/{name[2:]}" for name in names})
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n")
