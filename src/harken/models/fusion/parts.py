"""A part by its name in a recipe: the file of that name, and the dataclass in it that has `build`.

A part is one file, with a frozen dataclass that is its settings and builds its module. To add a part is to add a file.
"""

import dataclasses
import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import harken.models.fusion.encoders.audio
import harken.models.fusion.encoders.image
import harken.models.fusion.encoders.numbers
import harken.models.fusion.encoders.text
import harken.models.fusion.fuse
import harken.models.fusion.heads
from harken.data.settings import SettingsError, validate

ENCODERS: dict[str, tuple[ModuleType, str]] = {
    "image": (harken.models.fusion.encoders.image, "patches"),
    "audio": (harken.models.fusion.encoders.audio, "log_mel_transformer"),
    "numbers": (harken.models.fusion.encoders.numbers, "mlp"),
    "text": (harken.models.fusion.encoders.text, "gru"),
}
"""Where each modality's encoders lie, and which is taken where none is named. The order is that of building."""


@dataclass(frozen=True)
class Described:
    """A part, as a recipe names it.

    Attributes:
        room: where it stands in a recipe.
        name: its own.
        says: what it does.
        kind: its settings, a dataclass.
        default: whether it is taken where none is named.
    """

    room: str
    name: str
    says: str
    kind: type
    default: bool


def catalogue() -> list[Described]:
    """All parts, in the order in which media go through them."""
    rooms = {f"model.encoders.{m}": room for m, room in ENCODERS.items()}
    rooms["model.fuse"] = (harken.models.fusion.fuse, "joined")
    rooms["model.heads.NAME"] = (harken.models.fusion.heads, "language")
    found = []
    for room, (package, default) in rooms.items():
        for name in names_in(package):
            kind = _settings_of(package, name)
            assert kind is not None, "names_in lists those that have one"
            says = (sys.modules[kind.__module__].__doc__ or "").partition("\n")[0]
            found.append(Described(room, name, says, kind, name == default))
    return found


class PartError(SettingsError):
    """A part that is not there, or settings that it does not have."""


def names_in(package: ModuleType) -> list[str]:
    """The parts of a room."""
    return [m.name for m in pkgutil.iter_modules(package.__path__) if _settings_of(package, m.name) is not None]


def _settings_of(package: ModuleType, name: str) -> type | None:
    loaded = importlib.import_module(f"{package.__name__}.{name}")
    for value in vars(loaded).values():
        here = isinstance(value, type) and value.__module__ == loaded.__name__ and dataclasses.is_dataclass(value)
        if here and "build" in vars(value) and not inspect.isabstract(value):
            assert isinstance(value, type)
            return value
    return None


def _part(package: ModuleType, said: Any, default: str, where: str) -> Any:
    if not isinstance(said, Mapping):
        raise PartError(f"{where} is a mapping such as {{name: {default}}}, not {said!r}")
    name = str(said.get("name", default))
    known = names_in(package)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise PartError(f"{where}.name: there is no {name!r}; {hint}")
    kind = _settings_of(package, name)
    assert kind is not None, "names_in lists those that have one"
    return validate(kind, {key: value for key, value in said.items() if key != "name"}, where, PartError)


def encoder(modality: str, said: Any, where: str = "encoders") -> Any:
    """The settings of an encoder from `{name: cnn, ...}`.

    Raises:
        PartError: naming the part, what is wrong and what there is.
    """
    if modality not in ENCODERS:
        near = difflib.get_close_matches(modality, list(ENCODERS), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(ENCODERS)}"
        raise PartError(f"{where}.{modality}: there is no such modality; {hint}")
    package, default = ENCODERS[modality]
    return _part(package, said, default, f"{where}.{modality}")


def fuse(said: Any, where: str = "fuse") -> Any:
    """The settings of a way of joining, from `{name: gated, ...}`.

    Raises:
        PartError: as `encoder`.
    """
    return _part(harken.models.fusion.fuse, said, "joined", where)


def head(name: str, said: Any, where: str = "heads") -> Any:
    """The settings of a head from `{name: classify, ...}`.

    Raises:
        PartError: as `encoder`.
    """
    return _part(harken.models.fusion.heads, said, "language", f"{where}.{name}")


def plain(part: Any) -> dict[str, Any]:
    """A part's settings as a recipe and a model's configuration hold them."""
    return {"name": type(part).__module__.rpartition(".")[2], **dataclasses.asdict(part)}
