"""JSON files of records: one list, written record by record, or one record a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from harken.feedback.exchange.tables import DataError, read_table


class JsonOut:
    """Writes records as they come; `with` closes the list.

    Args:
        out: receives the bytes.
        lines: one record a line, instead of one list.
    """

    def __init__(self, out: BinaryIO, lines: bool):
        self._out, self._lines, self._count = out, lines, 0

    def __enter__(self) -> "JsonOut":
        if not self._lines:
            self._out.write(b"[")
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None and not self._lines:
            self._out.write(b"\n]\n" if self._count else b"]\n")

    def add(self, record: dict[str, Any]) -> None:
        """Write one record."""
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
        if self._lines:
            self._out.write(f"{text}\n".encode())
        else:
            self._out.write(f"{',' if self._count else ''}\n{text}".encode())
        self._count += 1


def read_json(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records with their places.

    Raises:
        DataError: if the file is no JSON, or a record no object.
    """
    for record in read_table(file.name, file.read_bytes(), "jsonl" if file.suffix == ".jsonl" else "json"):
        fields = {key: value for key, value in record.fields.items() if not key.startswith("@")}
        # A record that is no object is told by read_table as one with a value.
        if record.error is not None or set(fields) == {"value"}:
            raise DataError(f"{record.place}: {record.error or 'the record is no object'}; write one object a record")
        yield record.place, fields
