"""Many writers, one transaction: whoever waits while one is being committed goes together into the next.

Nothing is acknowledged before the commit that holds it has returned, and the store's commits are on the disk when they
return (SQLite: write-ahead log with synchronous=FULL; PostgreSQL: synchronous_commit as the server has it).
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine

Work = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""Writes some requests of one kind; gives a result for each, an exception where one is refused."""
MOST = 256
"""Requests in one transaction."""


class GroupCommit:
    """A thread that writes. Close it when done.

    Args:
        engine: of the store's database.
    """

    def __init__(self, engine: Engine):
        self._writer = engine.execution_options(writes=True)
        self._waiting: queue.SimpleQueue[tuple[Work, Any, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, work: Work, request: Any) -> "Future[Any]":
        """Have a request written; the future has its result once it is on the disk."""
        future: Future[Any] = Future()
        self._waiting.put((work, request, future))
        return future

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            first = self._waiting.get()
            batch = [] if first is None else [first]
            going = first is not None
            while going and len(batch) < MOST:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                going = more is not None
                if more is not None:
                    batch.append(more)
            self._commit(batch)

    def _commit(self, batch: list[tuple[Work, Any, "Future[Any]"]]) -> None:
        try:
            results: list[Any] = []
            with self._writer.begin() as connection:
                for work, several in groupby(batch, key=lambda one: one[0]):
                    results += work(connection, [request for _, request, _ in several])
        except Exception as error:
            # One that the database refuses must not take the others with it: each goes by itself.
            if len(batch) == 1:
                batch[0][2].set_exception(error)
            for one in batch if len(batch) > 1 else ():
                self._commit([one])
            return
        for (_, _, future), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
