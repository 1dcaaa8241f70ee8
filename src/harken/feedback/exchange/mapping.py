"""A mapping says, in a YAML file and not in code, how the files of a data set become prompts, completions and answers.

Names in braces are templates: `{speaker}` is the record's field, `{contest.description}` a field of a joined or nested
object, `{input?}` one that may be missing; `{{` and `}}` are braces. What harken knows of a record begins with @:
`{@row}` its number in the file from 0, `{@file}` the file's name without its ending, `{@key}` its key in an object of
records. docs/import.md explains each key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

from harken.data.settings import validate
from harken.feedback.exchange.said import FORMS, AnswerOf, MappingError, check_form
from harken.types import MEDIA

SHIPPED = Path(__file__).parent / "mappings"
LONGEST_NAME = 80
"""Of a mapping: it stands before ids, which have 200 letters."""
Format = Literal["jsonl", "json", "csv", "tsv", "npz", "lines"]


@dataclass(frozen=True)
class Join:
    """A second file whose records are looked up by a key.

    Attributes:
        file: its path below the data's folder, or a pattern of several.
        name: the joined record's fields are then `{name.field}`.
        key: template over the joined file's records; the value must tell them apart.
        match: template over the records; the joined record is the one whose `key` is the same.
        format: as in `records`.
    """

    file: str
    name: str
    key: str
    match: str
    format: Format | None = None


@dataclass(frozen=True)
class Records:
    """Where the records are.

    Attributes:
        files: a path below the data's folder, or a pattern such as `*.jsonl`; `.gz` is unpacked.
        without: those of them that are not read, as a path or pattern.
        zip: archives to look for `files` in, as a path or pattern.
        format: what the files are, if their names do not say it.
        at: path of the list of records inside a JSON file, if it is not the whole.
        columns: of an npz, the arrays with one row a record; all, if not said.
        extract: by field, a regular expression whose named groups become fields.
        joins: other files looked up by a key.
    """

    files: str
    without: str | None = None
    zip: str | None = None
    format: Format | None = None
    at: str | None = None
    columns: tuple[str, ...] = ()
    extract: Mapping[str, str] = field(default_factory=dict)
    joins: tuple[Join, ...] = ()


@dataclass(frozen=True)
class Medium:
    """A picture, a sound or numbers: a file, a member of an archive, or a range of bytes in an npz.

    Attributes:
        file: template of the path below the data's folder, or with `zip` of the archive's member.
        zip: archives to look in, as a path or pattern (a template, too).
        npz: path of an npz that holds many media one after the other.
        row: template of the medium's number in the npz, from 0.
        data: the npz's array of bytes.
        offsets: the npz's array of where each medium begins, with the end of the last.
    """

    file: str | None = None
    zip: str | None = None
    npz: str | None = None
    row: str = "{@row}"
    data: str = "data"
    offsets: str = "offsets"


@dataclass(frozen=True)
class PartOf:
    """A part of the prompt: one of the four.

    Attributes:
        text: template; a part whose text comes out empty is left out.
        image: template of a path, or a medium.
        audio: template of a path, or a medium.
        numbers: template of a path, or a medium.
    """

    text: str | None = None
    image: str | Medium | None = None
    audio: str | Medium | None = None
    numbers: str | Medium | None = None


@dataclass(frozen=True)
class PromptOf:
    """The prompt that a record is about; records that make the same prompt share it.

    Attributes:
        parts: what the user's turn holds.
        id: template of its id, below the mapping's name; made of the content if not said.
        system: template of a system turn before it.
        facts: what rules and splits may read: by name, a template (one field alone keeps its type, and is left out if
            it may be missing and is) or a constant.
        references: templates of answers known to be good; empty ones are left out.
    """

    parts: tuple[PartOf, ...]
    id: str | None = None
    system: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class CompletionsOf:
    """What was judged: constants or templates, or the items of a list in the record.

    Attributes:
        texts: constants or templates, in order.
        field: the path of a list in the record, instead of `texts`.
        text: template of an item's text, whose own fields are `{@item.field}`.
        policy: template of who wrote them; or one a text. The mapping's name if not said.
        empty: a text that comes out empty is an answer that says nothing; otherwise it is an error.
    """

    texts: tuple[str, ...] = ()
    field: str | None = None
    text: str = "{@item}"
    policy: str | tuple[str, ...] | None = None
    empty: bool = False


@dataclass(frozen=True)
class ImportMapping:
    """A whole mapping.

    Attributes:
        about: one line for people.
        records: where the records are.
        prompt: what a record is about.
        completions: what was judged.
        answers: what was said.
        name: of the data set, before all ids and annotators; the file's name if not said.
        source: where the data come from, and their licence.
    """

    about: str
    records: Records
    prompt: PromptOf
    completions: CompletionsOf
    answers: tuple[AnswerOf, ...]
    name: str = ""
    source: str = ""


def shipped() -> dict[str, str]:
    """The mappings that harken ships: what each is about, by name."""
    return {path.stem: read_mapping(path).about for path in sorted(SHIPPED.glob("*.yaml"))}


def find_mapping(name: str) -> ImportMapping:
    """A mapping that harken ships, or one in a user's file.

    Raises:
        MappingError: if there is none of this name, or it cannot be read.
    """
    if name.endswith((".yaml", ".yml")):
        return read_mapping(Path(name))
    known = {path.stem: path for path in SHIPPED.glob("*.yaml")}
    if name not in known:
        near = get_close_matches(name, list(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"harken has {', '.join(sorted(known))}"
        raise MappingError(f"there is no mapping {name!r}; {hint}; a mapping of your own is a file: NAME.yaml")
    return read_mapping(known[name])


def read_mapping(path: Path) -> ImportMapping:
    """A mapping's file.

    Raises:
        MappingError: if it is missing, is no YAML mapping, or holds what harken does not know.
    """
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"the mapping {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise MappingError(f"{path} is no YAML: {error}") from error
    if not isinstance(plain, Mapping):
        raise MappingError(f"{path}: a mapping holds keys such as records, prompt, completions and answers")
    try:
        read: ImportMapping = validate(ImportMapping, plain, "", MappingError)
        read = read if read.name else replace(read, name=path.name.rsplit(".", 1)[0])
        _check(read)
    except MappingError as error:
        raise MappingError(f"{path}: {error}") from error
    return read


def _check(mapping: ImportMapping) -> None:
    fit = mapping.name.strip() and mapping.name.isprintable() and len(mapping.name) <= LONGEST_NAME
    # It is the name of a folder, too: runs/NAME.
    if not fit or "/" in mapping.name or mapping.name.startswith("."):
        raise MappingError(
            f"name: {mapping.name!r} is no name; write 1 to {LONGEST_NAME} printable letters, no slash, no dot first"
        )
    for i, part in enumerate(mapping.prompt.parts):
        _one_of(part, ("text", *MEDIA), f"prompt.parts.{i}")
        for kind in MEDIA:
            medium = getattr(part, kind)
            if isinstance(medium, Medium):
                _one_of(medium, ("file", "npz"), f"prompt.parts.{i}.{kind}")
    if bool(mapping.completions.texts) == (mapping.completions.field is not None):
        raise MappingError("completions: give either texts or a field")
    for i, answer in enumerate(mapping.answers):
        _one_of(answer, FORMS, f"answers.{i}")
        check_form(answer.form, f"answers.{i}")


def _one_of(given: object, names: tuple[str, ...], where: str) -> None:
    if sum(getattr(given, name) is not None for name in names) != 1:
        raise MappingError(f"{where}: give one of {', '.join(names)}")
