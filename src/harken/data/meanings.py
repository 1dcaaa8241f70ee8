"""What the settings of a dataclass mean, by the words of its own docstring: what the code says, the help says."""

import dataclasses
import inspect
import re
from dataclasses import dataclass
from typing import Any

_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: as a file says it.
        default: what it is where nothing is said.
        meaning: in words.
    """

    name: str
    default: Any
    meaning: str


def settings_of(kind: type) -> list[Setting]:
    """The settings of a dataclass with their meanings, those that it inherits included; what is its own comes first."""
    told: dict[str, str] = {}
    for base in kind.__mro__:
        for name, meaning in _entries(base).items():
            told.setdefault(name, meaning)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    own = [name for name in inspect.get_annotations(kind) if name in fields]
    return [Setting(n, _default(fields[n]), told.get(n, "")) for n in dict.fromkeys([*own, *fields])]


def _entries(kind: type) -> dict[str, str]:
    """What a docstring's section of attributes says of each."""
    _, _, section = inspect.cleandoc(kind.__dict__.get("__doc__") or "").partition("\nAttributes:\n")
    return {name: re.sub(r"\s+", " ", words).strip() for name, words in _ENTRY.findall(section)}


def _default(field: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()
