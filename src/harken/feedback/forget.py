"""Removes who somebody was from a store, at their request; what they said stays, said by nobody in particular.

The name is replaced by a random pseudonym wherever it stands. Keys of answers and ids of revisions are hashes of the
name and of things that lie beside it, so that whoever suspects a name could test it: they are drawn anew. The triggers
that keep the store append-only are lifted inside the one transaction that does this, and nobody else ever sees the
tables without them.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, text, update

from harken.feedback.database import StoreError
from harken.feedback.kinds.edit import revision
from harken.feedback.records import feedback_from_json
from harken.feedback.schema import TABLES, annotators, answers, completions
from harken.types import Edit

AT_ONCE = 1_000


@dataclass(frozen=True)
class Further:
    """A table of another room that knows people.

    Attributes:
        table: its name; its triggers are lifted too.
        forget: called in the transaction with the connection, the name and the pseudonym; removes what the table
            holds of the person, comments too, and returns how many rows it touched.
    """

    table: str
    forget: Callable[[Connection, str, str], int]


@dataclass(frozen=True)
class Forgotten:
    """What was done.

    Attributes:
        pseudonym: stands in place of the name.
        rows: table -> how many rows were touched.
        cleaned: whether the name's bytes are gone from the file too, not only from its rows.
    """

    pseudonym: str
    rows: Mapping[str, int]
    cleaned: bool


def forget(engine: Engine, name: str, further: Sequence[Further] = ()) -> Forgotten:
    """Replace a name by a pseudonym everywhere in a store, in one transaction.

    The words of edits stay, since they are completions that were learnt from. What was exported or backed up before is
    not reached, and neither are the logs of the database's own server.

    Args:
        engine: of the store.
        name: the annotator's id.
        further: tables of other rooms.

    Raises:
        StoreError: if the store does not know the name.
    """
    pseudonym = f"forgotten-{secrets.token_hex(8)}"
    writer = engine.execution_options(writes=True)
    with writer.connect() as connection:
        if engine.dialect.name == "sqlite":
            # What is deleted or replaced is overwritten with zeros.
            connection.connection.cursor().execute("PRAGMA secure_delete=ON")
        with connection.begin():
            kind = connection.scalar(select(annotators.c.kind).where(annotators.c.id == name))
            with _triggers_lifted(connection, [*TABLES, *(one.table for one in further)]):
                # Somebody may have an account, or have been given something, and never have answered.
                rows = {} if kind is None else _replace(connection, name, pseudonym, kind)
                rows |= {one.table: one.forget(connection, name, pseudonym) for one in further}
            if not any(rows.values()):
                raise StoreError(f"there is no annotator {name!r} in this store; names are exact, in case too")
    return Forgotten(pseudonym, rows, _clean(engine, [*TABLES, *(one.table for one in further)]))


def _replace(connection: Connection, name: str, pseudonym: str, kind: str) -> dict[str, int]:
    connection.execute(insert(annotators).values(id=pseudonym, kind=kind))
    renamed = _rename_revisions(connection, name, pseudonym)
    mentioning = _mention(connection, renamed)
    mine = connection.scalars(select(answers.c.key).where(answers.c.annotator == name)).all()
    for key in mine:
        new = secrets.token_hex(32)
        connection.execute(update(answers).where(answers.c.key == key).values(key=new, annotator=pseudonym))
        connection.execute(update(answers).where(answers.c.amends == key).values(amends=new))
    connection.execute(delete(annotators).where(annotators.c.id == name))
    return {"annotators": 1, "answers": len(mine) + mentioning, "completions": len(renamed)}


def _rename_revisions(connection: Connection, name: str, pseudonym: str) -> dict[str, str]:
    """Revisions get the ids that they would have had under the pseudonym; old id -> new."""
    renamed = {}
    query = select(answers.c.said).where(answers.c.annotator == name, answers.c.kind == "edit")
    for said in connection.scalars(query).all():
        edit = feedback_from_json("edit", said)
        assert isinstance(edit, Edit), "the query asks for edits"
        old, new = revision(edit, name), revision(edit, pseudonym)
        renamed[old.id] = new.id
        connection.execute(update(completions).where(completions.c.id == old.id).values(id=new.id, policy=new.policy))
    # Of completions that came in by other doors under the name.
    policy = f"annotator:{name}"
    connection.execute(
        update(completions).where(completions.c.policy == policy).values(policy=f"annotator:{pseudonym}")
    )
    return renamed


def _mention(connection: Connection, renamed: Mapping[str, str]) -> int:
    """Answers of anybody that speak of a renamed completion speak of it by its new id."""
    if not renamed:
        return 0
    count, last = 0, 0
    page = select(answers.c.seq, answers.c.said).order_by(answers.c.seq).limit(AT_ONCE)
    while rows := connection.execute(page.where(answers.c.seq > last)).all():
        last = rows[-1].seq
        for row in rows:
            said = {key: _renamed(value, renamed) if key in NAMING else value for key, value in row.said.items()}
            if said != row.said:
                connection.execute(update(answers).where(answers.c.seq == row.seq).values(said=said))
                count += 1
    return count


NAMING = ("a", "b", "completion", "tiers", "rest")
"""The fields of statements that name completions."""


def _renamed(value: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(one, renamed) for one in value]
    return renamed.get(value, value)


@contextmanager
def _triggers_lifted(connection: Connection, tables: Sequence[str]) -> Iterator[None]:
    """Without the tables' triggers; both databases undo this too where the transaction fails."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = [row for row in connection.execute(query).all() if row.tbl_name in tables]
        for row in triggers:
            connection.exec_driver_sql(f'DROP TRIGGER "{row.name}"')
        yield
        for row in triggers:
            connection.exec_driver_sql(row.sql)
        return
    for table in tables:
        connection.exec_driver_sql(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')
    # Foreign keys wait for the end of the transaction on their own: the new name is there before the old one goes.
    yield
    for table in tables:
        connection.exec_driver_sql(f'ALTER TABLE "{table}" ENABLE TRIGGER USER')


def _clean(engine: Engine, tables: Sequence[str]) -> bool:
    """Rewrite the files without what is no longer in the rows; whether nobody kept old pages from going."""
    if engine.dialect.name != "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables:
                connection.exec_driver_sql(f'VACUUM FULL "{table}"')
        return True
    # Past SQLAlchemy, which would begin a transaction.
    with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
        try:
            cursor.execute("VACUUM")
            # Only when no reader needs the log's old pages is it emptied.
            (busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            return False
        return not busy
