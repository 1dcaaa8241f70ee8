"""`harken doctor`: does a model see its media, and is training on it exact?"""

import json
from pathlib import Path

import typer
from rich.table import Table

from harken.cli.options import console
from harken.cli.session import Stop, doors
from harken.models.doctor import Finding, examine
from harken.models.load import Dtype, load_model, weights_dtype

app = typer.Typer(add_completion=False)
COLOURS = {"ok": "green", "failed": "red", "plain": "yellow", "absent": "dim"}
MODEL = typer.Argument(..., help="A model's folder, or its name on the Hugging Face hub")
DTYPE = typer.Option("auto", "--dtype", help="auto, float32 or bfloat16: the type of the weights.")
JSON_FILE = typer.Option(None, "--json", help="Also write the findings to this file.", show_default=False)


def table_of(name: str, findings: list[Finding]) -> Table:
    """The findings as people read them."""
    table = Table(title=f"harken doctor: {name}", title_justify="left")
    for column in ("check", "verdict", "measured", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        verdict = f"[{COLOURS[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.check, verdict, finding.figure, finding.advice)
    return table


@app.command(
    help="Examine a model before training it: does each modality change its answers, are placeholders and features "
    "equal in number, is the shared prefix exact (else the plain layout is used), is padding harmless, are "
    "log-probabilities in training those of sampling, does saving keep the bits, does the chat template fit the loss "
    "mask. Exits with 1 if a check fails."
)
def doctor(model: str = MODEL, dtype: str = DTYPE, json_file: Path = JSON_FILE) -> None:
    """A table of checks."""
    with doors(Stop()):
        if dtype not in Dtype.__args__:  # type: ignore[attr-defined]
            raise ValueError(f"--dtype is one of {', '.join(Dtype.__args__)}, not {dtype!r}")  # type: ignore[attr-defined]
        loaded = load_model(model, weights_dtype(dtype))  # type: ignore[arg-type]
        findings = examine(loaded)
    console.print(table_of(model, findings))
    if json_file is not None:
        plain = [{"check": f.check, "verdict": f.verdict, "figure": f.figure, "advice": f.advice} for f in findings]
        json_file.write_text(json.dumps({"model": model, "layout": loaded.layout, "findings": plain}, indent=1) + "\n")
    if any(finding.verdict == "failed" for finding in findings):
        raise typer.Exit(1)
