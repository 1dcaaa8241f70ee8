"""`harken doctor`: does a model see its media, and is training on it exact?"""

from pathlib import Path

import typer

from harken.cli.options import working

app = typer.Typer(add_completion=False)
MODEL = typer.Argument(..., help="A model's folder, or its name on the Hugging Face hub")
DTYPE = typer.Option("auto", "--dtype", help="auto, float32 or bfloat16: the type of the weights.")
JSON_FILE = typer.Option(None, "--json", help="Also write the findings to this file.", show_default=False)


@app.command(
    help="Examine a model before training it: does each modality change its answers, are placeholders and features "
    "equal in number, is the shared prefix exact (else the plain layout is used), is padding harmless, are "
    "log-probabilities in training those of sampling, does saving keep the bits, does the chat template fit the loss "
    "mask. Exits with 1 if a check fails."
)
def doctor(model: str = MODEL, dtype: str = DTYPE, json_file: Path = JSON_FILE) -> None:
    """Hand on what was said."""
    working("examining").examine_model(model, dtype, json_file)
