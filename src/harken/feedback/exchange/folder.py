"""The folder that data come from: what a mapping or a record names is found in it or in its archives, only there."""

import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from harken.data.media.limits import MediaError
from harken.feedback.exchange.tables import MOST, DataError, read_arrays, refuse_much

BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError)
"""RuntimeError: encrypted, or a compression that zipfile does not know."""


class Folder:
    """Files below a folder, and members of archives below it. Close it when done.

    Args:
        root: the folder.
        most: bytes that one file of records may hold, unpacked.

    Raises:
        DataError: if there is no such folder.
    """

    def __init__(self, root: Path, most: int = MOST):
        if not root.is_dir():
            raise DataError(f"{root}: there is no such folder; give the one that the data set's files lie in")
        self.root = Path(os.path.realpath(root))
        self.most = most
        self._archives: dict[str, dict[str, list[zipfile.ZipFile]]] = {}
        self._opened: dict[Path, zipfile.ZipFile] = {}
        self._arrays: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *error: object) -> None:
        for archive in self._opened.values():
            archive.close()

    def files(self, pattern: str, without: str | None = None) -> list[Path]:
        """Regular files that a path or a pattern names, by name. Hidden ones only if the pattern says so.

        Args:
            pattern: what is looked for.
            without: what of it is left out.

        Raises:
            DataError: if it leaves the folder, or there is no such file.
        """
        omitted = set() if without is None else set(self._found(without))
        found = [path for path in self._found(pattern) if path not in omitted]
        for path in found:
            if not Path(os.path.realpath(path)).is_relative_to(self.root):
                raise DataError(f"{path}: a link that leaves {self.root}; put the file itself into the folder")
        if not found:
            but = f" but {without!r}" if omitted else ""
            raise DataError(
                f"{self.root} holds no file {pattern!r}{but}; is it the right folder, and does the mapping fit?"
            )
        return found

    def _found(self, pattern: str) -> list[Path]:
        refuse_leaving(pattern)
        # A name may hold what means something in a pattern: answers[1].csv.
        if (self.root / pattern).is_file():
            return [self.root / pattern]
        try:
            found = sorted(path for path in self.root.glob(pattern) if path.is_file())
        except ValueError as error:
            raise DataError(f"{pattern!r} is no pattern: {error}; write one such as *.jsonl") from error
        # Such as ._train.jsonl, which some systems put beside each file.
        hidden = pattern.startswith(".") or "/." in pattern
        return [p for p in found if hidden or not any(s.startswith(".") for s in p.relative_to(self.root).parts)]

    def sources(self, pattern: str, archives: str | None, without: str | None = None) -> Iterator[tuple[str, bytes]]:
        """Names and bytes of files, or of members of archives, by name.

        Raises:
            DataError: as `files`; and if an archive is broken, none of them holds such a member, or one is too big.
        """
        if archives is None:
            for path in self.files(pattern, without):
                name = str(path.relative_to(self.root))
                refuse_much(name, path.stat().st_size, self.most)
                yield name, path.read_bytes()
            return
        refuse_leaving(pattern)
        members = self._members(archives)
        found = sorted(n for n in members if _fits(n, pattern) and not (without and _fits(n, without)))
        if not found:
            raise DataError(f"no member {pattern!r} in {archives!r} of {self.root}; correct records.files")
        for name in found:
            for archive in members[name]:
                refuse_much(f"{archive.filename}: {name}", archive.getinfo(name).file_size, self.most)
                try:
                    yield f"{Path(str(archive.filename)).name}:{name}", archive.read(name)
                except BROKEN as error:
                    raise DataError(f"{archive.filename}: the member {name!r} is broken: {error}") from error

    def member(self, name: str, archives: str, most: int) -> bytes:
        """The bytes of one member of the archives that a pattern names, at most one more than `most`.

        Raises:
            DataError: if there is no such archive, or the name leaves the folder.
            MediaError: if no archive holds it, or two do, or it is broken.
        """
        refuse_leaving(name)
        holders = self._members(archives).get(name, [])
        if not holders:
            raise MediaError(f"{name!r} is in none of the archives {archives!r}; correct the mapping, or add the file")
        if len(holders) > 1:
            where = sorted({Path(str(archive.filename)).name for archive in holders})
            if len(where) == 1:
                raise MediaError(f"{name!r} is in {where[0]} twice; make the archive again")
            raise MediaError(
                f"{name!r} is in {' and '.join(where)}; name one archive in the mapping, such as zip: '{{@file}}.zip'"
            )
        try:
            with holders[0].open(name) as file:
                return file.read(most + 1)
        except BROKEN as error:
            raise MediaError(
                f"{name!r} in {holders[0].filename} is broken ({error}); fetch the archive again"
            ) from error

    def arrays(self, name: str) -> dict[str, Any]:
        """The arrays of an npz, read once.

        Raises:
            DataError: as `files`; and if it is no npz.
        """
        if name not in self._arrays:
            files = self.files(name)
            if len(files) > 1:
                raise DataError(f"{name!r} names {len(files)} files; name one npz")
            refuse_much(name, files[0].stat().st_size, self.most)
            self._arrays[name] = read_arrays(files[0].read_bytes(), name, self.most)
        return self._arrays[name]

    def byte_range(self, name: str, row: int, data: str, offsets: str) -> bytes:
        """One of many media in an npz.

        Args:
            name: the npz.
            row: its number, from 0.
            data: the array of bytes.
            offsets: the array of where each begins, with the end of the last.

        Raises:
            DataError: as `arrays`; and if it lacks one of the arrays, or they are no bytes and offsets.
            MediaError: if there is no such row, or its offsets do not lie in the data.
        """
        arrays = self.arrays(name)
        for wanted in (data, offsets):
            if wanted not in arrays:
                raise DataError(f"{name} has no array {wanted!r}; it has {', '.join(arrays)}")
        where, content = arrays[offsets], arrays[data]
        if content.dtype != np.uint8 or content.ndim != 1 or where.ndim != 1 or where.dtype.kind not in "iu":
            raise DataError(f"{name}: {data!r} must be bytes (uint8) and {offsets!r} whole numbers, both in one row")
        if not 0 <= row < len(where) - 1:
            raise MediaError(f"{name} has no row {row}; it has {len(where) - 1}")
        start, end = int(where[row]), int(where[row + 1])
        if not 0 <= start <= end <= len(content):
            raise MediaError(f"{name}: row {row} would be bytes {start} to {end} of {len(content)}; mend the offsets")
        return bytes(content[start:end].tobytes())

    def _members(self, archives: str) -> dict[str, list[zipfile.ZipFile]]:
        if archives not in self._archives:
            members: dict[str, list[zipfile.ZipFile]] = {}
            for path in self.files(archives):
                for name in self._open(path).namelist():
                    if not name.endswith("/"):
                        members.setdefault(name, []).append(self._open(path))
            self._archives[archives] = members
        return self._archives[archives]

    def _open(self, path: Path) -> zipfile.ZipFile:
        if path not in self._opened:
            try:
                self._opened[path] = zipfile.ZipFile(path)
            except BROKEN as error:
                raise DataError(f"{path} is no zip archive, or broken: {error}") from error
        return self._opened[path]


def _fits(name: str, pattern: str) -> bool:
    hidden = PurePosixPath(name).name.startswith(".")
    return name == pattern or (PurePosixPath(name).match(pattern) and not hidden)


def refuse_leaving(name: str) -> None:
    """Refuse a path that is absolute or climbs out of its folder.

    Raises:
        DataError: saying so.
    """
    steps = name.replace("\\", "/").split("/")
    if not name or os.path.isabs(name) or name.startswith(("/", "\\", "~")) or ".." in steps or "\0" in name:
        raise DataError(f"{name!r} leaves the data's folder; write a path below it, without '..'")
