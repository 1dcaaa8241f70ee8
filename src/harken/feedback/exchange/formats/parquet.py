"""A whole store as one parquet file for Hugging Face's `datasets`: a row a prompt, its media in it.

Columns: id, messages (roles and parts; a medium is a placeholder), images, audios, numbers (CSV), references, facts
(JSON), completions (id, text, policy, finished), answers (key, annotator, annotator_kind, kind, said (JSON), seconds,
amends, count). Everything is held: prompts without answers and completions that nobody spoke of too. Not held: when an
answer arrived, and the order in which answers to different prompts did.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harken.data.blobs import Blobs
from harken.feedback.exchange.arrow import Column, ParquetOut, medium, read_parquet
from harken.feedback.exchange.parcel import Parcel, Tally, answer_from_json, completion_from_json
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.turns import Reader, media, placeholder_turns
from harken.feedback.intake import answer_record, completion_row
from harken.feedback.records import prompt_from_json
from harken.feedback.store import FeedbackStore
from harken.feedback.stream import Item
from harken.types import Modality

SUFFIXES = (".parquet",)
COLUMNS: tuple[tuple[Modality, str], ...] = (("image", "images"), ("audio", "audios"), ("numbers", "numbers"))
SCHEMA: dict[str, Column] = {
    "id": "string",
    "messages": [{"role": "string", "content": [{"type": "string", "text": "string"}]}],
    "images": ["image"],
    "audios": ["audio"],
    "numbers": ["numbers"],
    "references": ["string"],
    "facts": "string",
    "completions": [{"id": "string", "text": "string", "policy": "string", "finished": "bool"}],
    "answers": [
        {
            "key": "string",
            "annotator": "string",
            "annotator_kind": "string",
            "kind": "string",
            "said": "string",
            "seconds": "float64",
            "amends": "string",
            "count": "int64",
        }
    ],
}


LATER = "numbers"
"""A column that files from before it was there lack."""


def write(store: FeedbackStore, blobs: Blobs, out: BinaryIO, suffix: str = ".parquet") -> Tally:
    """Write the store, prompt by prompt.

    Raises:
        MediaError: if a medium is not there.
    """
    tally = Tally()
    with ParquetOut(out, SCHEMA) as rows:
        for item in store.stream():
            rows.add(_row(item, blobs))
            tally.records += 1
            tally.answers += len(item.answers)
    return tally


def _row(item: Item, blobs: Blobs) -> dict[str, Any]:
    prompt = item.prompt
    columns = {column: [medium(blobs, one) for one in media(prompt, modality)] for modality, column in COLUMNS}
    completions = [completion_row(completion) for completion in item.completions]
    answers = [answer_record(answer) for answer in item.answers]
    return {
        "id": prompt.id,
        "messages": placeholder_turns(prompt),
        **columns,
        "references": list(prompt.references),
        "facts": json.dumps(dict(prompt.facts), ensure_ascii=False),
        "completions": [{name: row[name] for name in row if name != "prompt_id"} for row in completions],
        "answers": [{**record, "said": json.dumps(record["said"], ensure_ascii=False)} for record in answers],
    }


def read(file: Path, blobs: Blobs, levels: int = 5) -> Iterator[Parcel]:
    """Read such a file.

    Raises:
        DataError: what is wrong, and in which row.
    """
    for place, row in read_parquet(file):
        missing = [name for name in SCHEMA if name not in row and name != LATER]
        if missing:
            raise DataError(
                f"{place}: there is no column {missing[0]!r}; this format is harken's own whole store. A file of "
                "prompt, chosen and rejected is --format trl; for others write a mapping (harken data import)"
            )
        try:
            yield _parcel(row, Reader(place, blobs, file.parent))
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{place}: {error}; write the row as docs/exchange.md says") from error


def _parcel(row: Mapping[str, Any], reader: Reader) -> Parcel:
    waiting = {modality: [_put(reader, one, modality) for one in row.get(column) or ()] for modality, column in COLUMNS}
    messages = [
        {"role": turn["role"], "content": [_part(part, waiting) for part in turn["content"] or ()]}
        for turn in row["messages"] or ()
    ]
    for modality, left in waiting.items():
        if left:
            raise ValueError(f"{len(left)} more {modality} media than placeholders")
    facts = json.loads(row["facts"])
    prompt = prompt_from_json(
        {"id": row["id"], "messages": messages, "references": list(row["references"] or ()), "facts": facts}
    )
    completions = [completion_from_json({**one, "prompt_id": prompt.id}) for one in row["completions"] or ()]
    answers = [answer_from_json({**one, "said": json.loads(one["said"])}) for one in row["answers"] or ()]
    return Parcel((prompt,), tuple(completions), tuple(answers))


def _part(part: Mapping[str, Any], waiting: dict[Modality, list[str]]) -> dict[str, str]:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image" | "audio" | "numbers" as modality}:
            if not waiting[modality]:
                raise ValueError(f"a placeholder, and there is no {modality} left for it")
            return {"type": modality, "sha256": waiting[modality].pop(0)}
        case _:
            raise ValueError(f"a part is text, image, audio or numbers, not {part!r}")


def _put(reader: Reader, value: Any, modality: Modality) -> str:
    data = value.get("bytes") if isinstance(value, Mapping) else None
    if not isinstance(data, bytes):
        raise ValueError(f"{modality}: {value!r} has no bytes; embed the media in the file")
    return reader.put(data, modality)
