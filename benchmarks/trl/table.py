"""The table: what each side took, the ratio, and whether it is the one that was to be reached."""

from collections.abc import Mapping
from typing import Any

from benchmarks.trl.rows import ROWS, Row

COLUMNS = ("step", "TRL s", "harken s", "ratio", "to reach", "aim", "TRL MiB", "harken MiB", "memory", "at most", "")
Figures = Mapping[str, Any]


def reached(row: Row, found: Figures) -> bool | None:
    """Whether a row keeps what is promised of it; None where nothing is."""
    kept = []
    if row.ratio is not None:
        kept.append(found["ratio"] >= row.ratio)
    if row.memory is not None:
        kept.append(found["memory"] <= row.memory)
    return all(kept) if kept else None


def missed(result: Mapping[str, Any]) -> list[str]:
    """Names of the rows that were measured and do not keep their promise."""
    return [row.name for row in ROWS if row.name in result and reached(row, result[row.name]) is False]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def cells(row: Row, found: Figures, promises: bool = True) -> list[str]:
    """One line of the table."""
    verdict = {True: "reached", False: "MISSED", None: ""}[reached(row, found) if promises else None]
    return [
        row.name,
        _number(found.get("trl_s"), ".2f"),
        _number(found["harken_s"], ".2f"),
        _number(found.get("ratio"), ".2f"),
        _number(row.ratio if promises else None, ".1f"),
        _number(row.aim if promises else None, ".1f"),
        _number(found.get("trl_mib"), ".0f"),
        _number(found["harken_mib"], ".0f"),
        _number(found.get("memory"), ".2f"),
        _number(row.memory if promises else None, ".1f"),
        verdict,
    ]


def table(rows: list[Row], result: Mapping[str, Figures], promises: bool = True) -> str:
    """A table in Markdown, of the rows that were measured."""
    lines = [cells(row, result[row.name], promises) for row in rows if row.name in result]
    wide = [max(len(line[n]) for line in [list(COLUMNS), *lines]) for n in range(len(COLUMNS))]
    ruled = ["-" * wide[0], *("-" * (width - 1) + ":" for width in wide[1:-1]), "-" * max(wide[-1], 1)]

    def put(line: list[str]) -> str:
        ends = [line[0].ljust(wide[0]), *(cell.rjust(w) for cell, w in zip(line[1:-1], wide[1:-1], strict=True))]
        return f"| {' | '.join([*ends, line[-1].ljust(wide[-1])])} |"

    return "\n".join([put(list(COLUMNS)), put(ruled), *(put(line) for line in lines)])
