"""What `harken doctor` does once it is called: load, examine, and say what was found."""

import json
from pathlib import Path

import typer
from rich.table import Table

from harken.cli.options import console
from harken.cli.session import Stop, doors, said_dtype
from harken.models.doctor import Finding, examine
from harken.models.load import load_model

COLOURS = {"ok": "green", "failed": "red", "plain": "yellow", "absent": "dim"}


def table_of(name: str, findings: list[Finding]) -> Table:
    """The findings as people read them."""
    table = Table(title=f"harken doctor: {name}", title_justify="left")
    for column in ("check", "verdict", "measured", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        verdict = f"[{COLOURS[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.check, verdict, finding.figure, finding.advice)
    return table


def examine_model(model: str, dtype: str, json_file: Path | None) -> None:
    """Print a table of checks; ends with 1 if one fails.

    Args:
        model: a folder, or a name on the hub.
        dtype: of the weights, by name.
        json_file: receives the findings too.
    """
    with doors(Stop()):
        loaded = load_model(model, said_dtype(dtype))
        findings = examine(loaded)
    console.print(table_of(model, findings))
    if json_file is not None:
        plain = [{"check": f.check, "verdict": f.verdict, "figure": f.figure, "advice": f.advice} for f in findings]
        json_file.write_text(json.dumps({"model": model, "layout": loaded.layout, "findings": plain}, indent=1) + "\n")
    if any(finding.verdict == "failed" for finding in findings):
        raise typer.Exit(1)
