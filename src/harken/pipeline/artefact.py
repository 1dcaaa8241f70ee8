"""Artefacts: what a stage leaves, and how a later run knows that it is there, whole and current."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.types import JSON


def digest(value: Any) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class Contents:
    """Hashes of what lies outside a run; each file is read once, unless its size or time changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    def of(self, path: Path) -> str:
        """SHA-256 of a file, or of all files below a folder with their names; of nothing where nothing is."""
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        return digest([[str(file.relative_to(path)), self._file(file)] for file in files if file.is_file()])

    def _file(self, file: Path) -> str:
        seen = file.stat()
        key = (str(file), seen.st_size, seen.st_mtime_ns)
        if key not in self._known:
            self._known[key] = file_digest(file)
        return self._known[key]


def write_text(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".writing")
    with temporary.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, path)


@contextmanager
def fresh_folder(final: Path) -> Iterator[Path]:
    """A folder to write into that takes its name only when all was written."""
    temporary = final.with_name(final.name + ".writing")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    yield temporary
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)


def files_of(folder: Path, outputs: tuple[str, ...]) -> list[Path]:
    """The files of outputs, each a file or a folder."""
    found: list[Path] = []
    for output in outputs:
        path = folder / output
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


@dataclass(frozen=True)
class Marker:
    """What is known of a finished stage.

    Attributes:
        key: hash of settings and inputs.
        files: SHA-256 of each file, by its path below the run's folder.
        seconds: how long the stage took.
        peak_mib: the most memory that the process held meanwhile.
    """

    key: str
    files: dict[str, str]
    seconds: float
    peak_mib: float

    def to_json(self) -> JSON:
        """As plain data."""
        return {"key": self.key, "files": dict(self.files), "seconds": self.seconds, "peak_mib": self.peak_mib}


def marker_path(folder: Path, stage: str) -> Path:
    """Where a stage's marker lies."""
    return folder / "stages" / f"{stage.replace('/', '.')}.json"


def read_marker(folder: Path, stage: str) -> Marker | None:
    """A stage's marker, or None if it never finished."""
    path = marker_path(folder, stage)
    if not path.exists():
        return None
    return Marker(**json.loads(path.read_text()))


def is_current(folder: Path, stage: str, key: str) -> bool:
    """Whether a stage finished with this key and all its files are as it left them."""
    marker = read_marker(folder, stage)
    if marker is None or marker.key != key:
        return False
    return all(
        (folder / name).is_file() and file_digest(folder / name) == hashed for name, hashed in marker.files.items()
    )


def mark(folder: Path, stage: str, outputs: tuple[str, ...], key: str, *, seconds: float, peak_mib: float) -> None:
    """Say that a stage finished."""
    files = {str(path.relative_to(folder)): file_digest(path) for path in files_of(folder, outputs)}
    marker = Marker(key, files, seconds, peak_mib)
    write_text(marker_path(folder, stage), json.dumps(marker.to_json(), indent=1) + "\n")


def publish(folder: Path, made: str, name: str) -> None:
    """Have `name` at the top of a run show what `made` is: hard links where the disk has them, else copies."""
    source, final = folder / made, folder / name
    temporary = folder / f"{name}.publishing"
    if temporary.is_dir():
        shutil.rmtree(temporary)
    temporary.unlink(missing_ok=True)
    if source.is_dir():
        shutil.copytree(source, temporary, copy_function=_link)
        shutil.rmtree(final, ignore_errors=True)
    else:
        _link(str(source), str(temporary))
    os.replace(temporary, final)


def share(source: Path, target: Path, stage: str) -> None:
    """Have one run hold what a finished stage of another run left, and know it for done."""
    marker = read_marker(source, stage)
    assert marker is not None, "only what is finished is shared"
    for name in marker.files:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        _link(str(source / name), str(place))
    write_text(marker_path(target, stage), marker_path(source, stage).read_text())


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
