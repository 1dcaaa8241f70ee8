"""A real PostgreSQL server for tests."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from benchmarks.studio.postgres import Cluster, cluster, folder_of_programs


@contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A server of one's own; the test that asks is skipped where there is none to start."""
    # psycopg needs libpq too, and says so as another ImportError.
    why = "psycopg or libpq is not installed: pip install 'harken[postgresql]', apt-get install libpq5"
    pytest.importorskip("psycopg", reason=why, exc_type=ImportError)
    if folder_of_programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with cluster() as found:
        yield found


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database of a server of one's own."""
    with own_cluster() as found:
        yield found.url()
