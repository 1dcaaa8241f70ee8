"""Telling other programs what happened: signed, kept until they have it, tried again when they are away.

Source: Standard Webhooks, specification 1.0 (headers, signature, retries).
"""

import base64
import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from harken.feedback.database import StoreError
from harken.feedback.desk.owning import DeskLostError
from harken.feedback.group_commit import GroupCommit
from harken.feedback.schema import deliveries, webhooks
from harken.studio.outward import Unreachable, check, post

EVENTS = ("answer.created", "project.created", "run.ended")
WAITS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0)
"""Seconds until the second try, the third ...; after the last the delivery is given up and stays to be seen."""
BATCH = 20
AWAY = 5.0
"""Seconds until a database that was away is tried again."""
LOG = logging.getLogger("harken.studio")


def sign(secret: str, name: str, at: int, body: str) -> str:
    """The signature of a message.

    Args:
        secret: `whsec_` and base64.
        name: the message's id.
        at: seconds since 1970.
        body: what is sent.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = hmac.new(key, f"{name}.{at}.{body}".encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


class Webhooks:
    """Who wants to be told, and a thread that tells them.

    Args:
        engine: of the store's database.
        writer: writes what happened.
        private: whether addresses that are not public may be told.
    """

    def __init__(self, engine: Engine, writer: GroupCommit, private: bool):
        self._engine, self._writer, self._private = engine, writer, private
        self._wanted = self._read()
        self._wake, self._ended = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def add(self, url: str, events: Sequence[str]) -> dict[str, Any]:
        """A new webhook; its secret is shown this once.

        Raises:
            StoreError: if the address must not be told, or an event is none.
        """
        unknown = set(events) - set(EVENTS)
        if unknown or not events:
            raise StoreError(f"events are {', '.join(EVENTS)}; not {', '.join(sorted(unknown)) or 'none'}")
        try:
            check(url, self._private)
        except Unreachable as refused:
            raise StoreError(str(refused)) from refused
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        row = {"url": url, "secret": secret, "events": list(events), "active": True, "created_at": datetime.now(UTC)}
        with self._engine.execution_options(writes=True).begin() as connection:
            made = connection.execute(insert(webhooks), row).inserted_primary_key
        self._wanted = self._read()
        assert made is not None
        return {"id": made[0], "url": url, "events": list(events), "secret": secret}

    def all(self) -> list[dict[str, Any]]:
        """Webhooks, with how their deliveries went; never their secrets."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(webhooks).where(webhooks.c.active).order_by(webhooks.c.id)).all()
            ends = connection.execute(select(deliveries.c.webhook, deliveries.c.ended)).all()
        went = {row.id: [e.ended or "waiting" for e in ends if e.webhook == row.id] for row in rows}
        return [
            {
                "id": row.id,
                "url": row.url,
                "events": row.events,
                **{how: went[row.id].count(how) for how in ("delivered", "waiting", "given_up")},
            }
            for row in rows
        ]

    def remove(self, number: int) -> bool:
        """End a webhook; says whether there was one."""
        with self._engine.execution_options(writes=True).begin() as connection:
            connection.execute(delete(deliveries).where(deliveries.c.webhook == number, deliveries.c.ended.is_(None)))
            gone = connection.execute(update(webhooks).where(webhooks.c.id == number).values(active=False)).rowcount
        self._wanted = self._read()
        return bool(gone)

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Keep for everybody who wants to know of an event."""
        to = [number for number, events in self._wanted.items() if event in events]
        if to:
            happened = datetime.now(UTC).isoformat()
            body = json.dumps({"type": event, "timestamp": happened, "data": data}, ensure_ascii=False)
            self._writer.submit(_keep, (to, body)).add_done_callback(lambda _: self._wake.set())

    def close(self) -> None:
        """End the thread; what waits is told after the next start."""
        self._ended = True
        self._wake.set()
        self._thread.join(5.0)

    def _read(self) -> dict[int, frozenset[str]]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(webhooks).where(webhooks.c.active))
            return {row.id: frozenset(row.events) for row in rows}

    def _run(self) -> None:
        while not self._ended:
            try:
                wait = self._tell_due() if self._wanted else 60.0
            except (SQLAlchemyError, DeskLostError) as away:
                LOG.warning("webhooks wait for the database: %s", type(away).__name__)
                wait = AWAY
            self._wake.wait(wait)
            self._wake.clear()

    def _tell_due(self) -> float:
        """Tell what is due; seconds until the next is."""
        due = deliveries.c.ended.is_(None)
        query = select(deliveries, webhooks.c.url, webhooks.c.secret).join(webhooks).where(due)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(deliveries.c.due).limit(BATCH)).all()
        for row in rows:
            if row.due > time.time() or self._ended:
                return max(0.05, row.due - time.time())
            try:
                ended, note = self._deliver(row)
            except Exception as broken:
                LOG.exception("webhook %d: the delivery %s failed", row.webhook, row.id)
                ended, note = None, f"{type(broken).__name__}: {broken}"[:500]
            attempts = row.attempts + 1
            again = time.time() + WAITS[min(attempts, len(WAITS)) - 1]
            if ended is None and attempts > len(WAITS):
                ended = "given_up"
            told = {"id": row.id, "attempts": attempts, "due": again, "ended": ended, "note": note}
            self._writer.submit(_went, told).result()
        return 0.05 if rows else 60.0

    def _deliver(self, row: Any) -> tuple[str | None, str]:
        at = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "harken",
            "webhook-id": row.id,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(row.secret, row.id, at, row.body),
        }
        try:
            status = post(row.url, row.body.encode(), headers, self._private)
        except Unreachable as away:
            return None, str(away)[:500]
        if 200 <= status < 300:
            return "delivered", ""
        # 410: nobody wants it any more.
        return ("given_up" if status == 410 else None), f"answered {status}"


def _keep(connection: Connection, requests: Sequence[tuple[list[int], str]]) -> list[None]:
    rows = [
        {
            "id": f"msg_{secrets.token_hex(12)}",
            "webhook": n,
            "body": body,
            "attempts": 0,
            "due": time.time(),
            "note": "",
        }
        for to, body in requests
        for n in to
    ]
    connection.execute(insert(deliveries), rows)
    return [None] * len(requests)


def _went(connection: Connection, requests: Sequence[dict[str, Any]]) -> list[None]:
    for told in requests:
        connection.execute(update(deliveries).where(deliveries.c.id == told["id"]).values(**told))
    return [None] * len(requests)
