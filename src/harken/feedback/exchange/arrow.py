"""Parquet files as Hugging Face's `datasets` reads them: embedded media, and features that say what they are.

A column is described by `string`, `int64`, `float64`, `bool`, `image`, `audio` or `numbers`, by `[inner]` for a list,
and by `{name: inner}` for an object. Needs pyarrow, the extra `exchange`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harken.data.blobs import Blobs
from harken.feedback.exchange.tables import DataError

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    pa = pq = None

Column = str | list[Any] | dict[str, Any]
AT_ONCE = 16
FULL = 16 * 2**20


class ParquetOut:
    """Writes rows as they come, a few at once; `with` closes the file.

    Args:
        out: receives the bytes.
        columns: what each column holds.

    Raises:
        DataError: if pyarrow is not installed.
    """

    def __init__(self, out: BinaryIO, columns: Mapping[str, Column]):
        _want_arrow()
        features = {name: _feature(column) for name, column in columns.items()}
        self._schema = pa.schema(
            [(name, _type(column)) for name, column in columns.items()],
            # datasets reads from here which columns are pictures and sounds.
            metadata={"huggingface": json.dumps({"info": {"features": features}})},
        )
        self._writer = pq.ParquetWriter(out, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._size = 0

    def __enter__(self) -> "ParquetOut":
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """Write one row."""
        self._rows.append(row)
        media = [*(row.get("images") or ()), *(row.get("audios") or ()), *(row.get("numbers") or ())]
        self._size += 1_000 + sum(len(medium["bytes"]) for medium in media)
        if self._size > FULL:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows, self._size = [], 0


def read_parquet(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows with their places, a few at once.

    Raises:
        DataError: if the file is no parquet, or pyarrow is not installed.
    """
    _want_arrow()
    try:
        with pq.ParquetFile(file) as opened:
            number = 0
            for batch in opened.iter_batches(batch_size=AT_ONCE):
                for row in batch.to_pylist():
                    yield f"{file.name}, row {number}", row
                    number += 1
    except pa.ArrowException as error:
        raise DataError(f"{file}: no parquet that can be read ({error}); write it again") from error


def medium(blobs: Blobs, sha256: str) -> dict[str, Any]:
    """A medium as `datasets` keeps it: its bytes, and a name."""
    return {"bytes": blobs.read(sha256), "path": sha256}


def _want_arrow() -> None:
    if pa is None:
        raise DataError("parquet files need pyarrow, which is not installed: pip install 'harken[exchange]'")


def _type(column: Column) -> Any:
    match column:
        case [inner]:
            return pa.list_(_type(inner))
        case dict():
            return pa.struct([(name, _type(inner)) for name, inner in column.items()])
        case "image" | "audio" | "numbers":
            return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        case "bool":
            return pa.bool_()
        case str():
            return {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}[column]


def _feature(column: Column) -> Any:
    match column:
        case [inner]:
            return [_feature(inner)]
        case dict():
            return {name: _feature(inner) for name, inner in column.items()}
        case "image":
            return {"_type": "Image"}
        case "audio":
            # Decoding would ask for torchcodec; the bytes are there either way.
            return {"decode": False, "_type": "Audio"}
        case "numbers":
            return {"bytes": _feature("binary"), "path": _feature("string")}
        case str():
            return {"dtype": column, "_type": "Value"}
