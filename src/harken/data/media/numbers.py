"""Numbers, a vector or a time series: bytes to an array and back. Takes bytes, never paths; `harken.data.blobs` opens
files.

They come as CSV in UTF-8 (a line a time step, a column a channel, commas between, names of the channels in the first
line if they have any) or as JSON (`[1, 2]` is one step, `[[1, 2], [3, 4]]` two). They are kept in one form, so that the
same numbers are the same bytes: CSV whose names are in quotes and whose numbers are as short as they can be written
without being others in 32 bits. A vector is one step.
"""

import array
import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from jaxtyping import Float32, Shaped

from harken.data.media.limits import MediaError
from harken.types import JSON

SUFFIX = "csv"
KNOWN = "CSV (a line a step, a column a channel) or a JSON array"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
TOO_LARGE = float(2**128 - 2**103)
"""From here on a number is infinite in 32 bits."""
WHOLE = 2**24
LONGEST_NAME = 80
FORMULA = ("=", "+", "-", "@")
"""What a cell begins with that a spreadsheet computes."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Numbers, and what their channels are called, if anything.

    Attributes:
        values: (T, C), finite; T and C are at least 1.
        names: of the C channels; or none.
    """

    values: Float32[np.ndarray, "T C"]
    names: tuple[str, ...] = ()


def read(data: bytes) -> Table:
    """The numbers of CSV or JSON text.

    Raises:
        MediaError: if there are none, or lines differ in length, or something is no finite number of 32 bits; it names
            line and column (step and channel in JSON).
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MediaError(
            f"not numbers that harken reads: byte {error.start + 1} is not UTF-8 text; save them as {KNOWN}"
        ) from error
    if not text.strip():
        raise MediaError(f"no numbers: the text is empty; write {KNOWN}")
    return _from_json(text) if text.lstrip()[0] in "[{" else _from_csv(text)


def decode(data: bytes) -> Float32[np.ndarray, "T C"]:
    """The numbers alone, (T, C).

    Raises:
        MediaError: as `read`.
    """
    return read(data).values


def encode_csv(values: Shaped[np.ndarray, "T C"], names: Sequence[str] = ()) -> bytes:
    """The one form in which numbers are kept; `read` gives the same ones back.

    Args:
        values: (T, C), kept in 32 bits.
        names: of the channels; or none.

    Raises:
        ValueError: if there are no values, or some are not finite, or names do not fit (`MediaError`).
    """
    with np.errstate(over="ignore"):
        # Zero has one sign.
        kept = values.astype(np.float32) + np.float32(0)
    if kept.ndim != 2 or not kept.size or not np.isfinite(kept).all():
        raise ValueError(
            f"numbers of shape {values.shape}, of which {int((~np.isfinite(kept)).sum())} are not finite in 32 bits"
        )
    out = io.StringIO()
    if names:
        _check_names(names, kept.shape[1], "the names")
        csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(names)
    for step in kept:
        out.write(",".join(_written(step)) + "\n")
    return out.getvalue().encode()


def table(values: object, names: object = ()) -> Table:
    """Numbers from plain data: a list is one step, a list of lists several.

    Args:
        values: `[1, 2]`, or `[[1, 2], [3, 4]]`.
        names: a list of the channels' names; an empty one for none.

    Raises:
        MediaError: if they are none; it names step and channel.
    """
    if not isinstance(values, list) or not values:
        raise MediaError(
            "the numbers are no list, or an empty one; write [1, 2], or [[1, 2], [3, 4]] with a list a step"
        )
    steps = values if isinstance(values[0], list) else [values]
    flat = array.array("f")
    for i, step in enumerate(steps, start=1):
        if not isinstance(step, list):
            raise MediaError(f"step {i} is {step!r:.40} and no list of numbers; write a list for each step")
        if len(step) != len(steps[0]) or not step:
            raise MediaError(
                f"step {i} has {len(step)} numbers, and step 1 has {len(steps[0])}; write one for each channel"
            )
        flat.extend(_plain(value, f"step {i}, channel {j}") for j, value in enumerate(step, start=1))
    if not isinstance(names, list | tuple):
        raise MediaError('the names of the channels are no list; write ["x", "y"]')
    if names:
        _check_names(names, len(steps[0]), "the names")
    return _table(flat, len(steps[0]), tuple(names))


def excerpt(data: bytes, lines: int = 8) -> str:
    """The first lines of kept numbers, and how many there are besides."""
    every = data.decode().splitlines()
    rest = len(every) - lines
    return "\n".join(every[:lines] + ([f"... {rest} more"] if rest > 0 else []))


def to_json(given: Table) -> dict[str, JSON]:
    """Plain data that `table` makes the same of: values, and names where there are any."""
    plain: dict[str, JSON] = {"values": [[float(text) for text in _written(step)] for step in given.values]}
    return {**plain, "names": list(given.names)} if given.names else plain


def _table(flat: "array.array[float]", channels: int, names: tuple[str, ...]) -> Table:
    values = np.frombuffer(flat, np.float32).reshape(-1, channels) + np.float32(0)
    return Table(values, names)


def _from_json(text: str) -> Table:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise MediaError("the numbers are nested too deeply; write [[1, 2], [3, 4]] with a list a step") from error
    except ValueError as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(
            f"the numbers begin as JSON and are none ({error}); mend it, or put a first name of CSV into quotes"
        ) from error
    return table(value)


def _no_constant(name: str) -> NoReturn:
    raise MediaError(f"{name} among the numbers; leave the step out, or write what was measured")


def _plain(value: object, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MediaError(f"{at}: {value!r:.40} is no number; write one")
    try:
        number = float(value)
    except OverflowError:
        number = TOO_LARGE
    return _finite(number, at)


def _finite(number: float, at: str) -> float:
    if not abs(number) < TOO_LARGE:  # nor is what is no number below anything
        raise MediaError(f"{at}: {number:g} is not finite in 32 bits; write it in another unit, or leave the step out")
    return number


def _from_csv(text: str) -> Table:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    names: tuple[str, ...] = ()
    flat, channels, empty = array.array("f"), 0, 0
    try:
        for found in rows:
            line, cells = rows.line_num, [cell.strip() for cell in found]
            if not any(cells) and len(cells) < 2:
                empty = empty or line
                continue
            if empty:
                raise MediaError(f"line {empty} is empty, and others come after it; take it out")
            if not channels:
                channels = len(cells)
                if _are_names(cells, line):
                    names = tuple(cells)
                    continue
            if len(cells) != channels:
                raise MediaError(
                    f"line {line} has {len(cells)} columns, the first has {channels}; write a number for each channel"
                )
            flat.extend(_number(cell, line, j) for j, cell in enumerate(cells, start=1))
    except csv.Error as error:
        raise MediaError(f"line {rows.line_num} is no CSV ({error}); write numbers with commas between") from error
    if not flat:
        raise MediaError("names of channels and no numbers below them; write a line of numbers for each step")
    return _table(flat, channels, names)


def _are_names(cells: Sequence[str], line: int) -> bool:
    """Whether the first line names the channels: no cell of it is a number."""
    if len(cells) == 1 and any(mark in cells[0] for mark in ";\t"):
        raise MediaError(f"line {line}: commas part columns, and points fractions; {cells[0]!r:.40} has none")
    if any(_is_number(cell) for cell in cells):
        return False
    _check_names(cells, len(cells), f"line {line}")
    return True


def _check_names(names: Sequence[object], channels: int, at: str) -> None:
    if len(names) != channels:
        raise MediaError(f"{at}: {len(names)} names for {channels} channels; write one for each, or none")
    for j, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
            raise MediaError(f"{at}, column {j}: {name!r:.40} is no name; write 1 to {LONGEST_NAME} printable letters")
        if name != name.strip() or name.startswith(FORMULA):
            raise MediaError(f"{at}, column {j}: {name!r:.40} does not begin and end as a name; begin with a letter")
        # Else the line of names would be read as something else.
        if _is_number(name) or ";" in name:
            raise MediaError(f"{at}, column {j}: {name!r:.40} is a number, or holds a semicolon; name it in words")
    if len(set(names)) < len(names):
        raise MediaError(f"{at}: two channels have one name; give each its own")


def _is_number(cell: str) -> bool:
    """Whether Python reads it as one; more than is taken (NaN, 1_000), so that these are errors and no names."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, line: int, column: int) -> float:
    at = f"line {line}, column {column}"
    if not cell:
        raise MediaError(f"{at} is empty; write a number, or leave the step out")
    if NUMBER.fullmatch(cell) is None:
        if _is_number(cell):
            _finite(float(cell), at)
        raise MediaError(f"{at}: {cell!r:.40} is no number; write one such as -1.5 or 2e-3, with commas between")
    return _finite(float(cell), at)


def _written(step: Float32[np.ndarray, " C"]) -> list[str]:
    """Numbers as short as they can be; read as 64 bits and rounded to 32 they are the same."""
    # As people write whole numbers, while 32 bits hold every one.
    texts = [str(int(x)) if x.is_integer() and abs(x) <= WHOLE else str(x).removesuffix(".0") for x in step]
    again = np.array([float(text) for text in texts]).astype(np.float32)
    return [
        text if same else repr(float(number)) for text, number, same in zip(texts, step, again == step, strict=True)
    ]
