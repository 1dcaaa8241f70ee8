"""A PostgreSQL server of one's own, that only a socket leads to, started as an unprivileged user where this is root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]


def folder_of_programs() -> Path | None:
    """Where initdb lies."""
    return next((place for place in PLACES if (place / "initdb").exists()), None)


@dataclass(frozen=True)
class Cluster:
    """A server and its data.

    Attributes:
        programs: where its programs lie.
        folder: its data, log and socket.
        durable: whether a commit waits for the disk.
    """

    programs: Path
    folder: Path
    durable: bool

    def url(self, base: str = "postgres") -> str:
        """Of one of its databases."""
        return f"postgresql://harken@/{base}?host={self.folder}"

    def new(self, base: str) -> str:
        """The URL of a new, empty database."""
        self._run("createdb", "-h", str(self.folder), "-U", "harken", base)
        return self.url(base)

    def start(self) -> None:
        """Begin, and wait until it answers."""
        # The longest path of a socket is 107 letters; the folder is short for that.
        settings = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        settings += "" if self.durable else " -c fsync=off"
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-w", "-o", settings, "start")

    def stop(self) -> None:
        """End as if its power were cut."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")

    def make(self) -> None:
        """Lay out its data."""
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "harken", "-A", "trust", "-E", "UTF8", "-N")

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", user(), "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self.programs / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, timeout=120)


@contextmanager
def cluster(durable: bool = False) -> Iterator[Cluster]:
    """A server that goes, with its data, at the end.

    Raises:
        FileNotFoundError: if PostgreSQL is not installed.
    """
    programs = folder_of_programs()
    if programs is None:
        raise FileNotFoundError("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="harken-pg-", dir="/tmp"))
    made = Cluster(programs, folder, durable)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user())
        made.make()
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def user() -> str:
    """As whom it runs where this is root; initdb refuses root."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
