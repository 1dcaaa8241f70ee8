"""Records of a file, one by one, with the place that each has in it: JSONL, JSON, CSV, npz, and plain lines."""

import csv
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from harken.data.record import FieldError
from harken.data.strict_json import no_repeats, parse
from harken.feedback.exchange.mapping import Format
from harken.feedback.exchange.templates import MISSING, find, shown

SUFFIXES: dict[str, Format] = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "json": "json",
    "csv": "csv",
    "tsv": "tsv",
    "npz": "npz",
    "txt": "lines",
}
LONGEST_CELL = 1 << 27
MOST = 1 << 30
"""Bytes of one file of records, unpacked: all of it is held in memory."""


class DataError(ValueError):
    """The data cannot be read, or a record in them is wrong: what, where, and how to mend it."""


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        place: where it is, for errors: `train.jsonl:3`.
        fields: what it holds; `@row`, `@file` and `@key` are what harken knows of it.
        error: why it cannot be read, if it cannot.
        source: the file's name.
    """

    place: str
    fields: Mapping[str, Any]
    error: str | None = None
    source: str = ""


def read_table(
    name: str,
    data: bytes,
    format: Format | None = None,
    at: str | None = None,
    columns: tuple[str, ...] = (),
    most: int = MOST,
) -> Iterator[Record]:
    """The records of a file.

    Args:
        name: the file's name; says the format, if `format` does not.
        data: its bytes, packed with gzip or not.
        format: what it is.
        at: path of the list of records inside a JSON file.
        columns: the arrays of an npz with one row a record.
        most: bytes that it may unpack to.

    Raises:
        DataError: if the file as a whole cannot be read; a record that cannot be read has an `error` instead.
    """
    plain = name.removesuffix(".gz")
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(name, data, most)
    kind = format or SUFFIXES.get(plain.rsplit(".", 1)[-1].lower())
    if kind is None:
        raise DataError(f"{name}: what is it? Write records.format: {', '.join(sorted(set(SUFFIXES.values())))}")
    stem = PurePosixPath(plain.split(":")[-1]).name.rsplit(".", 1)[0]
    if kind == "npz":
        yield from _npz(name, stem, data, columns, most)
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error
    readers: dict[str, Callable[[], Iterator[Record]]] = {
        "jsonl": lambda: _jsonl(name, stem, text),
        "json": lambda: _json(name, stem, text, at),
        "csv": lambda: _csv(name, stem, text, ","),
        "tsv": lambda: _csv(name, stem, text, "\t"),
        "lines": lambda: _lines(name, stem, text),
    }
    yield from readers[kind]()


def read_arrays(data: bytes, name: str, most: int = MOST) -> dict[str, Any]:
    """The arrays of an npz.

    Raises:
        DataError: if it is none, or holds more than `most` bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as members:
            refuse_much(name, sum(member.file_size for member in members.infolist()), most)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    # An array's header may claim a size that no memory has.
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} is no npz that can be read: {error}; save plain arrays with numpy.savez") from error


def refuse_much(name: str, size: int, most: int) -> None:
    """Refuse a file that would fill the memory.

    Raises:
        DataError: saying how to mend it.
    """
    if size > most:
        raise DataError(f"{name} holds {size} bytes, unpacked, more than the {most} allowed; split it into several")


def _unpacked(name: str, data: bytes, most: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            out = packed.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} is broken: {error}; fetch it again") from error
    if len(out) > most:
        raise DataError(f"{name} unpacks to more than the {most} bytes allowed; split it into several")
    return out


def _record(place: str, stem: str, row: int, value: Any, key: str = "") -> Record:
    known = {"@row": row, "@file": stem, "@key": key}
    return Record(place, {**(value if isinstance(value, dict) else {"value": value}), **known})


def _jsonl(name: str, stem: str, text: str) -> Iterator[Record]:
    row = 0
    for line, content in enumerate(io.StringIO(text, newline="\n"), start=1):
        if not content.strip():
            continue
        place = f"{name}:{line}"
        try:
            value = parse(content)
        except FieldError as error:
            yield Record(place, {}, str(error))
        else:
            yield _record(place, stem, row, value)
        row += 1


def _json(name: str, stem: str, text: str, at: str | None) -> Iterator[Record]:
    try:
        value = json.loads(text, object_pairs_hook=no_repeats)
    except (ValueError, RecursionError) as error:
        hint = "; for one object a line, write records.format: jsonl" if text.lstrip()[:1] == "{" else ""
        raise DataError(f"{name} is not JSON ({error}){hint}") from error
    if at is not None:
        value = find(value, at) if isinstance(value, dict) else MISSING
    match value:
        case list():
            for row, item in enumerate(value):
                yield _finite(_record(f"{name}, record {row + 1}", stem, row, item))
        case dict():
            for row, (key, item) in enumerate(value.items()):
                yield _finite(_record(f"{name}, record {key!r}", stem, row, item, key))
        case _:
            what = "nothing" if value is MISSING else shown(value)
            raise DataError(f"{name}: {what} where a list or an object of records should be; see records.at")


def _finite(record: Record) -> Record:
    """The record, with an error if it holds NaN: found here, since here is known which record it is."""
    try:
        json.dumps(record.fields, allow_nan=False)
    except ValueError:
        return Record(record.place, {}, "NaN or Infinity in it, which is not JSON; write null or leave it out")
    return record


def _csv(name: str, stem: str, text: str, delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = reader.fieldnames
        if not names or len(set(names)) < len(names):
            raise DataError(f"{name}: the first line must name the columns, each once; it is {names}")
        for row, fields in enumerate(reader):
            place = f"{name}:{reader.line_num}"
            if None in fields or None in fields.values():
                yield Record(place, {}, f"more or fewer cells than the {len(names)} columns; quote cells with commas")
            else:
                yield _record(place, stem, row, dict(fields))
    except csv.Error as error:
        raise DataError(f"{name}:{reader.line_num}: no CSV ({error}); quote cells as spreadsheets do") from error


def _lines(name: str, stem: str, text: str) -> Iterator[Record]:
    lines = re.split(r"\r?\n", text.rstrip("\r\n")) if text.strip("\r\n") else []
    for row, line in enumerate(lines):
        yield _record(f"{name}:{row + 1}", stem, row, line)


def _npz(name: str, stem: str, data: bytes, columns: tuple[str, ...], most: int) -> Iterator[Record]:
    arrays = read_arrays(data, name, most)
    for column in columns:
        if column not in arrays:
            raise DataError(f"{name} has no array {column!r}; it has {', '.join(arrays)}; see records.columns")
    chosen = {column: arrays[column] for column in columns or arrays}
    sizes = {column: len(array) if array.ndim else 0 for column, array in chosen.items()}
    if len(set(sizes.values())) != 1:
        lengths = ", ".join(f"{column} {size}" for column, size in sizes.items())
        raise DataError(f"{name}: its arrays have different lengths ({lengths}); name the right ones: records.columns")
    for row in range(next(iter(sizes.values()))):
        yield _record(
            f"{name}, row {row}", stem, row, {column: array[row].tolist() for column, array in chosen.items()}
        )
