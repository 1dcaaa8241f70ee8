"""`harken predict`: what a model's heads say of prompts."""

from pathlib import Path

import typer

from harken.cli.options import working

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
    """Hand on what was said."""
    working("predicting").predict_prompts(model, prompts, out, batch, dtype)
