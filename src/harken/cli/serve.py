"""`harken serve`: a model behind OpenAI's API."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import typer
import yaml
from rich.console import Console

from harken.cli.options import errors
from harken.cli.words import in_words
from harken.data.settings import validate
from harken.models.load import Dtype, load_model, weights_dtype
from harken.serve.server import name_of, serve
from harken.serve.settings import ServeConfig

app = typer.Typer(add_completion=False)
console = Console()
TYPED = ("host", "port", "token", "max_tokens")

MODEL = typer.Argument(..., help="A model's folder, such as runs/demo/aligned, or its name on the Hugging Face hub.")
MORE = typer.Argument(
    None,
    metavar="[KEY=VALUE]...",
    help="Further settings: name (what requests call the model), at_once (requests answered at a time), waiting (that "
    "may wait besides; more get 503), longest (tokens that a request may ask for), most (n), body_mib, seconds, "
    "allowed_hosts.",
    show_default=False,
)
HOST = typer.Option("127.0.0.1", "--host", help="The address to listen on; another than this machine's needs a token.")
PORT = typer.Option(8000, "--port", help="0 for any that is free.")
TOKEN = typer.Option(
    "",
    "--token",
    envvar="HARKEN_TOKEN",
    help="What every request must bear (Authorization: Bearer ...); @FILE reads it from a file, so that no list of "
    "processes shows it.",
    show_default=False,
    show_envvar=True,
)
MAX_TOKENS = typer.Option(512, "--max-tokens", help="The longest answer where a request does not say.")
DTYPE = typer.Option("auto", "--dtype", help="auto, float32 or bfloat16: the type of the weights.")


@app.command(
    "serve",
    help="Put a model behind OpenAI's API: /v1/chat/completions with pictures, sound and streaming, and /v1/models. "
    "Any model that harken loads; what it does not take is refused in words.\n\n"
    "harken serve runs/demo/aligned --port 8000\n\n"
    'curl http://127.0.0.1:8000/v1/chat/completions -H \'Content-Type: application/json\' -d \'{"model": "aligned", '
    '"messages": [{"role": "user", "content": "Which number is it?"}]}\'\n\n'
    'In Python: openai.OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="TOKEN or anything")'
    '.chat.completions.create(model="aligned", messages=[...], stream=True)',
)
def serve_(
    model: str = MODEL,
    more: list[str] | None = MORE,
    host: str = HOST,
    port: int = PORT,
    token: str = TOKEN,
    max_tokens: int = MAX_TOKENS,
    dtype: str = DTYPE,
) -> None:
    """Load, listen, answer."""
    with _words():
        if dtype not in Dtype.__args__:  # type: ignore[attr-defined]
            raise ValueError(f"--dtype is one of {', '.join(Dtype.__args__)}, not {dtype!r}")  # type: ignore[attr-defined]
        typed = {"host": host, "port": port, "token": _secret(token), "max_tokens": max_tokens}
        config: ServeConfig = validate(ServeConfig, {**_settings(more or []), **typed}, "")
        loaded = load_model(model, weights_dtype(dtype))  # type: ignore[arg-type]
        loaded.to("cuda" if torch.cuda.is_available() else "cpu")
        serve(loaded, config.name or name_of(model), config, _say)


def _settings(written: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE`s as a mapping."""
    out: dict[str, Any] = {}
    for one in written:
        key, equals, value = one.partition("=")
        if not equals or key in TYPED:
            hint = f"--{key.replace('_', '-')}" if key in TYPED else f"known are {', '.join(_known())}"
            raise ValueError(f"{one!r} is no setting; write KEY=VALUE ({hint})")
        try:
            out[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"{one!r}: {error}") from error
    return out


def _known() -> list[str]:
    return [entry.name for entry in dataclasses.fields(ServeConfig) if entry.name not in TYPED]


def _secret(token: str) -> str:
    if not token.startswith("@"):
        return token
    found = Path(token[1:]).read_text().strip()
    if not found:
        raise ValueError(f"--token {token}: the file is empty; write a secret into it (openssl rand -hex 24)")
    return found


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _words() -> Iterator[None]:
    """Errors become words here; a signal ends the server and is no error."""
    try:
        with in_words():
            yield
    except KeyboardInterrupt:
        errors.print("stopped")
