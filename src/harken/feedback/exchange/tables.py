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
    name: str, data: bytes, format: Format | None = None, at: str | None = None, columns: tuple[str, ...] = ()
) -> Iterator[Record]:
    """The records of a file.

    Args:
        name: the file's name; says the format, if `format` does not.
        data: its bytes, packed with gzip or not.
        format: what it is.
        at: path of the list of records inside a JSON file.
        columns: the arrays of an npz with one row a record.

    Raises:
        DataError: if the file as a whole cannot be read; a record that cannot be read has an `error` instead.
    """
    plain = name.removesuffix(".gz")
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name} is broken: {error}; fetch it again") from error
    kind = format or SUFFIXES.get(plain.rsplit(".", 1)[-1].lower())
    if kind is None:
        raise DataError(f"{name}: what is it? Write records.format: {', '.join(sorted(set(SUFFIXES.values())))}")
    stem = PurePosixPath(plain.split(":")[-1]).name.rsplit(".", 1)[0]
    if kind == "npz":
        yield from _npz(name, stem, data, columns)
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


def read_arrays(data: bytes, name: str) -> dict[str, Any]:
    """The arrays of an npz.

    Raises:
        DataError: if it is none.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise DataError(f"{name} is no npz that can be read: {error}; save plain arrays with numpy.savez") from error


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
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            yield Record(place, {}, f"the line is not JSON ({error}); write one whole object a line")
        else:
            yield _record(place, stem, row, value)
        row += 1


def _json(name: str, stem: str, text: str, at: str | None) -> Iterator[Record]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = "; for one object a line, write records.format: jsonl" if text.lstrip()[:1] == "{" else ""
        raise DataError(f"{name} is not JSON ({error}){hint}") from error
    if at is not None:
        value = find(value, at) if isinstance(value, dict) else MISSING
    match value:
        case list():
            for row, item in enumerate(value):
                yield _record(f"{name}, record {row + 1}", stem, row, item)
        case dict():
            for row, (key, item) in enumerate(value.items()):
                yield _record(f"{name}, record {key!r}", stem, row, item, key)
        case _:
            what = "nothing" if value is MISSING else shown(value)
            raise DataError(f"{name}: {what} where a list or an object of records should be; see records.at")


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
    for row, line in enumerate(re.split(r"\r?\n", text.rstrip("\r\n"))):
        yield _record(f"{name}:{row + 1}", stem, row, line)


def _npz(name: str, stem: str, data: bytes, columns: tuple[str, ...]) -> Iterator[Record]:
    arrays = read_arrays(data, name)
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
