"""A server's life: warm up, listen, say so, and leave nothing behind."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
import uvicorn
from starlette.types import ASGIApp

from harken.data.batch import collate_prompts
from harken.data.blobs import Blobs
from harken.models.generate import Decoding, generate
from harken.models.model import Model
from harken.serve.app import Desk, make_app
from harken.serve.settings import ServeConfig
from harken.serve.worker import Worker
from harken.types import Message, Prompt, Text

PATIENCE = 5
"""Seconds that answers under way have when the server is told to stop."""


def name_of(model: str) -> str:
    """What a model is called if nobody says: its name on the hub, or its folder's."""
    folder = Path(model)
    return folder.resolve().name if folder.exists() else model


def listen(config: ServeConfig) -> socket.socket:
    """A socket that takes connections already.

    Raises:
        ValueError: if the address is not to be had.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=128)
    except OSError as error:
        raise ValueError(
            f"cannot listen on {config.host}:{config.port} ({error.strerror}); choose another with --port (0 for any)"
        ) from error


def address_of(listening: socket.socket) -> str:
    """Where a server is found."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def warm_up(model: Model) -> None:
    """Write one token, so that what cannot work says so now and the first request does not wait for it."""
    asked = Prompt("warm-up", (Message("user", (Text("Hello"),)),))
    encoded = model.processor.encode(asked, Blobs("."))
    device = next(model.parameters()).device
    prompts = collate_prompts([encoded], model.processor.pad_id).to(device)
    rows = torch.zeros(1, dtype=torch.long, device=device)
    generate(model, prompts, rows, Decoding(2, 0.0), torch.Generator())


def application(model: Model, name: str, config: ServeConfig) -> ASGIApp:
    """The application; its worker begins with the server and ends with it."""
    return make_app(Desk(model, name, config, Worker(model, config.at_once, config.waiting)))


def server_of(app: ASGIApp) -> uvicorn.Server:
    """The server that runs an application on a socket of its own."""
    settings = uvicorn.Config(
        app,
        http="h11",  # the same on every machine, whatever else is installed
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=PATIENCE,
    )
    return uvicorn.Server(settings)


def serve(model: Model, name: str, config: ServeConfig, say: Callable[[str], None]) -> None:
    """Answer requests until a signal comes.

    Args:
        model: on the device that it is to work on.
        name: what requests call it.
        config: where, and for whom.
        say: takes a line when the server is ready.

    Raises:
        ValueError: if the address is not to be had.
        KeyboardInterrupt: when it was told to stop.
    """
    with listen(config) as listening:
        warm_up(model)
        weights = next(model.parameters())
        takes = ", ".join(["text", *sorted(model.processor.takes)])
        kind = str(weights.dtype).removeprefix("torch.")
        lock = "a token is needed" if config.token else "no token: this machine only"
        say(f"{name} ({takes}; {kind} on {weights.device.type}) at {address_of(listening)}/v1, {lock}; Ctrl-C stops it")
        with _told_to_stop():
            server_of(application(model, name, config)).run(sockets=[listening])


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """uvicorn ends well and then raises the signal again: a second Ctrl-C's way, also for SIGTERM."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
