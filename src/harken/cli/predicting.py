"""What `harken predict` does once it is called: load, predict, write."""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harken.cli.options import console, errors
from harken.cli.session import Stop, doors, said_dtype
from harken.data.blobs import Blobs
from harken.data.prompts import load_prompts
from harken.pipeline.predictions import load_with_heads, predictions


def predict_prompts(model: str, prompts: Path, out: Path | None, batch: int, dtype: str) -> None:
    """Write what the heads say, a line a prompt.

    Args:
        model: its folder.
        prompts: JSONL.
        out: the file; the screen if None.
        batch: prompts at a time.
        dtype: of the weights, by name.
    """
    with doors(Stop()), tempfile.TemporaryDirectory() as scratch:
        blobs = Blobs(Path(scratch))
        asked = load_prompts(prompts, blobs)
        loaded = load_with_heads(model, said_dtype(dtype))
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
