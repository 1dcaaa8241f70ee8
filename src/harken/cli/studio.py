"""`harken studio`: the page where people answer. Loads no torch."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer
import uvicorn
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from typer.main import get_current_context

from harken.feedback.database import StoreError
from harken.studio.accounts import SETTLED, Accounts, Role, User
from harken.studio.app import make_app
from harken.studio.config import LOOPBACK, StudioConfig
from harken.studio.endpoints import Endpoints
from harken.studio.serving import server_config
from harken.studio.state import Studio, open_accounts, open_studio

app = typer.Typer(add_completion=False, no_args_is_help=False, invoke_without_command=True)
user = typer.Typer(add_completion=False, no_args_is_help=True, help="Who may enter.")
app.add_typer(user, name="user")
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

FOLDER = typer.Option(Path("runs/studio"), "--folder", help="Media, and the database where none is named.")
DATABASE = typer.Option("", "--database", help="postgresql://NAME@HOST/BASE, or an SQLite file.", show_default=False)
LISTEN = typer.Option("127.0.0.1:8400", "--listen", help="Address and port; port 0 for any that is free.")
NAMES = typer.Option(None, "--name", help="A host name that browsers may use, as behind a proxy.", show_default=False)
SECURE = typer.Option(False, "--https", help="Browsers reach it by https, through a proxy.")
REMOTE = typer.Option(False, "--remote-media", help="Programs may name pictures and sounds by a public address.")
ENDPOINTS = typer.Option(
    None,
    "--model",
    help="Address of an OpenAI-compatible server for the chat page, such as http://127.0.0.1:8000; of one that takes a "
    'key, "ADDRESS VARIABLE" with the environment variable that holds it.',
    show_default=False,
)
ROLE = typer.Option("annotator", "--role", help="annotator, reviewer or owner.")
AT_START = "printed at start"
"""What the invitation is called that a start prints; each start ends those of earlier ones."""
NEW_ROLE = typer.Argument(..., help="annotator, reviewer or owner.")


@app.callback(help="The page where people answer, and see what their answers do.")
def studio(
    folder: Path = FOLDER,
    database: str = DATABASE,
    listen: str = LISTEN,
    name: list[str] | None = NAMES,
    https: bool = SECURE,
    remote: bool = REMOTE,
    model: list[str] | None = ENDPOINTS,
) -> None:
    """Listen, print a link that works once, and serve until Ctrl-C."""
    if get_current_context().invoked_subcommand is not None:
        return
    _check(model or ())
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        _fail(f"--listen {listen}: give an address and a port, such as 127.0.0.1:8400")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that name TCP; without it each answer waits 40 ms for the client's word.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host.strip("[]"), int(port)))
            listening.listen(128)  # who follows the link at once waits in the queue, and is not refused
        except OSError as taken:
            _fail(f"{listen} cannot be listened on: {taken.strerror}; try --listen {host}:0")
        names = tuple(name or ())
        config = StudioConfig(
            folder, database, host, listening.getsockname()[1], names, https, remote, endpoints=tuple(model or ())
        )
        opened = _open(config)
        _greet(opened)
        uvicorn.Server(server_config(make_app(opened), config.secure)).run(sockets=[listening])


def _check(models: Sequence[str]) -> None:
    """End with words where a model server is named that cannot be."""
    try:
        Endpoints(models)
    except ValueError as wrong:
        _fail(f"--model: {wrong}")


def _fail(why: str) -> NoReturn:
    errors.print(f"error: {why}", soft_wrap=True, markup=False)
    raise typer.Exit(2)


def _open(config: StudioConfig) -> Studio:
    try:
        return open_studio(config)
    except StoreError as error:
        _fail(str(error))


def _greet(opened: Studio) -> None:
    """Print a link by which the owner enters; it works once."""
    config, accounts = opened.config, opened.accounts
    owners = [one for one in accounts.all() if one.role == "owner"]
    owner = owners[0] if owners else accounts.add("owner", "owner")
    scheme = "https" if config.secure else "http"
    # Behind a proxy the port is the proxy's; else browsers need it.
    host = config.names[0] if config.names else config.host
    name = host if config.secure and config.names else f"{host}:{config.port}"
    accounts.end_invites(owner, AT_START)
    invite = accounts.issue(owner, "invite", AT_START)
    console.print(f"harken studio is at {scheme}://{name}", soft_wrap=True, markup=False)
    console.print(f"enter once as {owner.name}: {scheme}://{name}/enter#{invite}", soft_wrap=True, markup=False)
    if config.host not in LOOPBACK and not config.secure:
        errors.print("others on the network can read what is sent: put it behind https, and say --https")


@contextmanager
def _accounts(folder: Path, database: str, begin: bool = False) -> Iterator[Accounts]:
    """The accounts, beside a studio that is at work too; what is wrong becomes words."""
    place = StudioConfig(folder, database).place
    if not begin and "://" not in place and not Path(place).exists():
        _fail(
            f"there is no studio at {place}; name its folder with --folder, or begin one: harken studio user add NAME"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open_accounts(StudioConfig(folder, database)) as accounts:
            yield accounts
    except (StoreError, DBAPIError, OSError) as error:
        _fail(str(error))


def _print(text: str) -> None:
    console.print(text, soft_wrap=True, markup=False)


def _invite(accounts: Accounts, made: User) -> None:
    _print(f"{made.name} ({made.role}) enters once, at the studio's address, by: /enter#{_link(accounts, made)}")


def _link(accounts: Accounts, made: User) -> str:
    return accounts.issue(made, "invite", "command line")


@user.command("add", help="Add somebody; prints a link by which they enter once.")
def add(name: str, role: Role = ROLE, folder: Path = FOLDER, database: str = DATABASE) -> None:
    """A new user and their invitation."""
    with _accounts(folder, database, begin=True) as accounts:
        if accounts.was_removed(name):
            _print(f"{name} was here before and is back: what they said is theirs")
        _invite(accounts, accounts.add(name, role))


@user.command("invite", help="A new link for somebody who is there; it works once.")
def invite(name: str, folder: Path = FOLDER, database: str = DATABASE) -> None:
    """Another invitation."""
    with _accounts(folder, database) as accounts:
        _invite(accounts, accounts.named(name))


@user.command("role", help="Another role: annotator, reviewer or owner.")
def change_role(name: str, role: Role = NEW_ROLE, folder: Path = FOLDER, database: str = DATABASE) -> None:
    """Another role."""
    with _accounts(folder, database) as accounts:
        changed = accounts.change(name, role=role)
        _print(f"{changed.name} is {changed.role}")


@user.command("remove", help="End an account and all its sessions; what they said stays (see harken feedback forget).")
def remove(name: str, folder: Path = FOLDER, database: str = DATABASE) -> None:
    """End an account."""
    with _accounts(folder, database) as accounts:
        accounts.remove(name)
        _print(f"{name} is out; a studio that is at work knows it within {SETTLED:g} seconds")


@user.command("list", help="Who may enter.")
def listed(folder: Path = FOLDER, database: str = DATABASE) -> None:
    """Names and roles."""
    with _accounts(folder, database) as accounts:
        for one in accounts.all():
            _print(f"{one.name}  {one.role}")
