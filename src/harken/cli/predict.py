"""`harken predict`: what a model's heads say of prompts."""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harken.cli.options import console, errors
from harken.cli.session import Stop, doors
from harken.data.blobs import Blobs
from harken.data.prompts import load_prompts
from harken.models.load import Dtype, weights_dtype
from harken.pipeline.predictions import load_with_heads, predictions

app = typer.Typer(add_completion=False)

MODEL = typer.Argument(..., help="A model's folder, such as runs/digits/sft; it has heads besides language")
PROMPTS = typer.Argument(..., help="JSONL of prompts, as for data.prompts of a recipe; facts are not read")
OUT = typer.Option(None, "--out", help="The file that is written; lines on the screen if not said.", show_default=False)
BATCH = typer.Option(64, "--batch", min=1, help="Prompts at a time.")
DTYPE = typer.Option("auto", "--dtype", help="auto, float32 or bfloat16: the type of the weights.")


@app.command(
    help="What a model's heads say of prompts: one JSON line a prompt, with each head's class and probabilities "
    "(classify), values (regress), cosine (contrast) or probability (match).\n\n"
    "harken predict runs/digits/sft prompts.jsonl --out said.jsonl\n\n"
    'A line of prompts.jsonl: {"id": "a", "messages": [{"role": "user", "content": [{"type": '
    '"image", "image": "a.png"}]}]}\n\n'
    'A line of said.jsonl: {"id": "a", "heads": {"digit": {"class": "seven", "probabilities": '
    '{"six": 0.1, "seven": 0.9}}}}\n\n'
    "Heads are named and trained by a recipe: docs/family.md."
)
def predict(
    model: str = MODEL, prompts: Path = PROMPTS, out: Path | None = OUT, batch: int = BATCH, dtype: str = DTYPE
) -> None:
    """Load, predict, write."""
    with doors(Stop()), tempfile.TemporaryDirectory() as scratch:
        if dtype not in Dtype.__args__:  # type: ignore[attr-defined]
            raise ValueError(f"--dtype is one of {', '.join(Dtype.__args__)}, not {dtype!r}")  # type: ignore[attr-defined]
        blobs = Blobs(Path(scratch))
        asked = load_prompts(prompts, blobs)
        loaded = load_with_heads(model, weights_dtype(dtype))  # type: ignore[arg-type]
        loaded.to("cuda" if torch.cuda.is_available() else "cpu")
        lines = (json.dumps(said, ensure_ascii=False) for said in predictions(loaded, asked, blobs, batch))
        if out is None:
            for line in lines:
                print(line)
        else:
            _write(lines, len(asked), out)
            console.print(f"{len(asked)} prompts: {out}", highlight=False, soft_wrap=True)


def _write(lines: Iterable[str], count: int, out: Path) -> None:
    """Write lines into a file that is there whole or not at all, behind a bar."""
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise ValueError(f"--out {out} is there and no plain file; name another file")
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + ".writing")
    columns = (TextColumn("predicting"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as bar, unfinished.open("w") as file:
        for line in bar.track(lines, total=count):
            file.write(line + "\n")
    os.replace(unfinished, out)
