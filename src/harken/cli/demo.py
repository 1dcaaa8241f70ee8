"""`harken demo`: the whole loop on a small task, from nothing but a seed."""

from pathlib import Path

import typer

from harken.cli.options import OUT, OVERRIDES, RESUME, console, session
from harken.cli.table import print_results

app = typer.Typer(add_completion=False)


@app.command(
    help="Teach a small assistant to answer about handwriting and speech, then to answer the way people prefer. "
    "Needs no GPU and no data; ends with a table and report.html."
)
def demo(
    overrides: list[str] | None = OVERRIDES,
    seed: int = typer.Option(0, help="Of everything drawn; the same seed on the same machine gives the same bits."),
    out: Path | None = OUT,
    resume: bool = RESUME,
    quick: bool = typer.Option(False, "--quick", help="The same job at a tenth of the work; too little to learn well."),
    annotator: str = typer.Option(
        "simulated", help="`simulated`: three simulated annotators answer. `me`: you do, in this terminal."
    ),
) -> None:
    """The whole loop on a small task."""
    done = session().go_demo(seed, quick, annotator, overrides, out, resume)
    print_results(console, done.folder)
