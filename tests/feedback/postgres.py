"""A real PostgreSQL server for tests, started as an unprivileged user where the tests run as root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]


def folder_of_programs() -> Path:
    """Where initdb lies; the test that asks is skipped where it does not."""
    # It needs libpq too, and says so as another ImportError.
    why = "psycopg or libpq is not installed: pip install 'harken[postgresql]', apt-get install libpq5"
    pytest.importorskip("psycopg", reason=why, exc_type=ImportError)
    found = next((place for place in PLACES if (place / "initdb").exists()), None)
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database that only a socket leads to; server and data go with the test."""
    programs = folder_of_programs()
    as_user = ["runuser", "-u", _user(), "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="harken-pg-", dir="/tmp"))
    try:
        if as_user:
            shutil.chown(folder, _user())
        base = folder / "data"

        def run(program: str, *arguments: str) -> None:
            command = [*as_user, str(programs / program), *arguments]
            subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=120)

        run("initdb", "-D", str(base), "-U", "harken", "-A", "trust", "-N")
        settings = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", str(base), "-l", str(folder / "log"), "-w", "-o", settings, "start")
        try:
            yield f"postgresql://harken@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", str(base), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
