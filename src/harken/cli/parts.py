"""`harken parts`: what a model of the family can be put together from."""

import difflib
from typing import Any

import typer
import yaml
from rich.table import Table
from rich.text import Text

from harken.cli.options import console
from harken.cli.words import in_words
from harken.data.meanings import settings_of
from harken.models.fusion.parts import Described, catalogue

app = typer.Typer(add_completion=False)
NAMES = typer.Argument(
    None, metavar="[PART]...", help="A part, or a place such as image or fuse: show its settings.", show_default=False
)


@app.command(
    help="What a recipe's `model:` can be put together from: encoders of pictures, sounds, numbers and texts, ways of "
    "joining them, heads. With a name (`harken parts cnn`, `harken parts fuse`) each setting, what it is where nothing "
    "is said, and what it means. docs/family.md tells the rest."
)
def parts(names: list[str] | None = NAMES) -> None:
    """A table of all, or of the settings of some."""
    with in_words():
        known = catalogue()
        if not names:
            _print_all(known)
        for part in _named(known, names or []):
            _print_settings(part)


def _named(known: list[Described], names: list[str]) -> list[Described]:
    """The parts of some names, each once.

    Raises:
        ValueError: if there is nothing of a name.
    """
    found: list[Described] = []
    for name in names:
        mine = [part for part in known if name.lower() in _calls(part)]
        if not mine:
            all_names = sorted({call for part in known for call in _calls(part) if "." not in call})
            near = difflib.get_close_matches(name.lower().rpartition(".")[2], all_names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(all_names)}"
            raise ValueError(f"there is no part {name!r}; {hint}")
        found += [part for part in mine if part not in found]
    return found


def _calls(part: Described) -> set[str]:
    """All that a part answers to."""
    pieces = part.room.removesuffix(".NAME").split(".")[1:]
    rooms = {".".join(pieces[start:]) for start in range(len(pieces))} | {part.room} | set(pieces)
    return rooms | {part.name} | {f"{room}.{part.name}" for room in rooms}


def _print_all(known: list[Described]) -> None:
    table = Table(title="Parts of a model; harken parts NAME shows the settings", title_justify="left")
    for column in ("where", "name", "what"):
        table.add_column(column, overflow="fold")
    before = ""
    for part in known:
        if before and part.room != before:
            table.add_section()
        name = Text(part.name, style="bold")
        table.add_row("" if part.room == before else part.room, name + " *" * part.default, Text(part.says))
        before = part.room
    console.print(table)
    console.print("* taken where none is named", highlight=False)


def _as_said(default: Any) -> str:
    """A default as a recipe would say it; a dash where nothing stands: what that means, the meaning tells."""
    if default is None or default == "":
        return "–"
    plain = list(default) if isinstance(default, tuple) else default
    return yaml.safe_dump(plain, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _print_settings(part: Described) -> None:
    table = Table(title=f"{part.room}: {{name: {part.name}}}", title_justify="left", caption_justify="left")
    for column in ("setting", "default", "what"):
        table.add_column(column, overflow="fold")
    for setting in settings_of(part.kind):
        table.add_row(Text(setting.name, style="bold"), Text(_as_said(setting.default)), Text(setting.meaning))
    console.print(Text(part.says))
    console.print(table)
