"""The feedback store: append-only, one transaction an answer, an idempotency key for each."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, IntegrityError

from harken.feedback.kinds.edit import revision
from harken.feedback.records import (
    check,
    feedback_from_json,
    feedback_to_json,
    kind_of,
    named_completions,
    prompt_from_json,
    prompt_to_json,
)
from harken.feedback.schema import annotators, answers, completions, metadata, prompts
from harken.types import Answer, Completion, Edit, Prompt

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 30_000


class StoreError(ValueError):
    """The store cannot take, or cannot read, what it was given."""


def store_url(place: str | Path) -> str:
    """A database URL as it is; a path as that of an SQLite file."""
    text = str(place)
    return text if "://" in text else f"sqlite:///{text}"


class FeedbackStore:
    """Prompts, completions, and what annotators said of them.

    Args:
        place: a path of an SQLite file, or a database URL.

    Raises:
        StoreError: if the file is no database, or was written by a newer harken.
    """

    def __init__(self, place: str | Path):
        self.url = store_url(place)
        if make_url(self.url).get_backend_name() == "sqlite" and make_url(self.url).database:
            Path(str(make_url(self.url).database)).parent.mkdir(parents=True, exist_ok=True)
        self._engine = _engine(self.url)
        self._writer = self._engine.execution_options(writes=True)
        try:
            self._migrate()
        except DatabaseError as error:
            self._engine.dispose()
            raise StoreError(f"{place} cannot be opened as a feedback store: {error.orig}") from error

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        script = ScriptDirectory.from_config(config)
        with self._engine.connect() as connection:
            at = MigrationContext.configure(connection).get_current_revision()
        if at == script.get_current_head():
            return
        if at is not None and at not in {one.revision for one in script.walk_revisions()}:
            raise StoreError(f"{self.url} was written by a newer harken (schema {at}); upgrade harken to open it")
        with self._writer.begin() as connection:
            # Two processes may open a new store at once: the first has the write lock, the second finds it done.
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def __enter__(self) -> "FeedbackStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def add_prompts(self, given: Iterable[Prompt]) -> None:
        """Add prompts; one that is there already must be the same.

        Raises:
            StoreError: if an id is taken by another prompt.
        """
        rows = [{"id": prompt.id, "content": prompt_to_json(prompt)} for prompt in given]
        with self._writer.begin() as connection:
            found = {row.id: row.content for row in connection.execute(select(prompts.c.id, prompts.c.content))}
            _add_new(connection, prompts, rows, {name: {"id": name, "content": c} for name, c in found.items()})

    def add_completions(self, given: Iterable[Completion]) -> None:
        """Add completions; one that is there already must be the same.

        Raises:
            StoreError: if an id is taken by another completion, or its prompt is not in the store.
        """
        rows = [_completion_row(completion) for completion in given]
        with self._writer.begin() as connection:
            asked = set(connection.scalars(select(prompts.c.id)))
            for row in rows:
                if row["prompt_id"] not in asked:
                    raise StoreError(
                        f"completion {row['id']!r}: add its prompt {row['prompt_id']!r} to the store first"
                    )
            found = {c.id: _completion_row(c) for c in _completions(connection, select(completions))}
            _add_new(connection, completions, rows, found)

    def add(self, answer: Answer) -> Answer:
        """Check an answer and keep it, in one transaction; the first answer of a key stays.

        Returns:
            the answer that the store holds under this key: this one, or the one that came first.

        Raises:
            ValueError: if the statement makes no sense, the annotator's kind is another than before, or it amends what
                is not there.
        """
        try:
            with self._writer.begin() as connection:
                held = _held(connection, answer.key)
                if held is not None:
                    return held
                self._check(connection, answer)
                connection.execute(insert(answers), _answer_row(answer))
        except IntegrityError:
            # Another writer was first with this key (or this annotator): the store now holds what decides.
            with self._engine.connect() as connection:
                held = _held(connection, answer.key)
            return held if held is not None else self.add(answer)
        return answer

    def _check(self, connection: Connection, answer: Answer) -> None:
        said = answer.feedback
        names = named_completions(said)
        shown = {c.id: c for c in _completions(connection, select(completions).where(completions.c.id.in_(names)))}
        check(said, shown)
        kind = connection.scalar(select(annotators.c.kind).where(annotators.c.id == answer.annotator))
        if kind is None:
            connection.execute(insert(annotators), {"id": answer.annotator, "kind": answer.annotator_kind})
        elif kind != answer.annotator_kind:
            raise StoreError(
                f"annotator {answer.annotator!r} is {kind} in this store and cannot answer as {answer.annotator_kind}; "
                "give the other one another name"
            )
        if answer.amends is not None and _held(connection, answer.amends) is None:
            raise StoreError(f"answer {answer.key!r} amends {answer.amends!r}, and there is no such answer")
        if isinstance(said, Edit):
            better = revision(said, answer.annotator)
            taken = connection.scalar(select(completions.c.id).where(completions.c.id == better.id))
            if taken is None:
                connection.execute(insert(completions), _completion_row(better))

    def answers(self, kind: str | None = None, annotator: str | None = None, amended: bool = False) -> list[Answer]:
        """Answers in the order that they came.

        Args:
            kind: only of this kind of feedback.
            annotator: only of this annotator.
            amended: also those that a later one replaced.
        """
        query = select(answers, annotators.c.kind.label("annotator_kind")).join(annotators).order_by(answers.c.seq)
        if kind is not None:
            query = query.where(answers.c.kind == kind)
        if annotator is not None:
            query = query.where(answers.c.annotator == annotator)
        with self._engine.connect() as connection:
            found = [_answer(row) for row in connection.execute(query)]
            if not amended:
                replaced = set(connection.scalars(select(answers.c.amends).where(answers.c.amends.is_not(None))))
                found = [answer for answer in found if answer.key not in replaced]
        return found

    def prompts(self) -> list[Prompt]:
        """All prompts, in the order that they came."""
        with self._engine.connect() as connection:
            return [prompt_from_json(c) for c in connection.scalars(select(prompts.c.content).order_by(prompts.c.seq))]

    def completions(self, prompt_id: str | None = None) -> list[Completion]:
        """Completions, revisions included, in the order that they came; of one prompt, if it is named."""
        query = select(completions).order_by(completions.c.seq)
        if prompt_id is not None:
            query = query.where(completions.c.prompt_id == prompt_id)
        with self._engine.connect() as connection:
            return _completions(connection, query)

    def has(self, key: str) -> bool:
        """Whether an answer of this key is there."""
        with self._engine.connect() as connection:
            return _held(connection, key) is not None

    def keys(self) -> set[str]:
        """The keys of all answers."""
        with self._engine.connect() as connection:
            return set(connection.scalars(select(answers.c.key)))

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        with self._engine.connect() as connection:
            tables = metadata.sorted_tables
            return {t.name: int(connection.scalar(select(func.count()).select_from(t)) or 0) for t in tables}

    def export_jsonl(self, path: Path) -> None:
        """Write all answers, amended ones too, one a line; the file is whole or it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".writing")
        with temporary.open("w", encoding="utf-8") as out:
            for answer in self.answers(amended=True):
                record = {
                    "key": answer.key,
                    "annotator": answer.annotator,
                    "annotator_kind": answer.annotator_kind,
                    "kind": kind_of(answer.feedback),
                    "said": feedback_to_json(answer.feedback),
                    "seconds": answer.seconds,
                    "amends": answer.amends,
                }
                out.write(json.dumps(record, ensure_ascii=False) + "\n")
        temporary.replace(path)


def _engine(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _settings(connection: Any, record: Any) -> None:
            # Python's driver begins transactions on its own terms; here the store does.
            connection.isolation_level = None
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # A writer takes the write lock at once: a reader that turned writer in the middle could only fail.
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _add_new(connection: Connection, table: Any, rows: list[dict[str, Any]], found: Mapping[str, Any]) -> None:
    new: dict[str, dict[str, Any]] = {}
    for row in rows:
        there = found.get(row["id"], new.get(row["id"]))
        if there is None:
            new[row["id"]] = row
        elif there != row:
            raise StoreError(f"{table.name}: the id {row['id']!r} is taken by another one; ids are for ever")
    if new:
        connection.execute(insert(table), list(new.values()))


def _completion_row(completion: Completion) -> dict[str, Any]:
    return {
        "id": completion.id,
        "prompt_id": completion.prompt_id,
        "text": completion.text,
        "policy": completion.policy,
        "finished": completion.finished,
    }


def _completions(connection: Connection, query: Any) -> list[Completion]:
    rows = connection.execute(query)
    return [Completion(row.id, row.prompt_id, row.text, row.policy, bool(row.finished)) for row in rows]


def _answer_row(answer: Answer) -> dict[str, Any]:
    return {
        "key": answer.key,
        "kind": kind_of(answer.feedback),
        "annotator": answer.annotator,
        "prompt_id": answer.feedback.prompt_id,
        "said": feedback_to_json(answer.feedback),
        "seconds": answer.seconds,
        "amends": answer.amends,
        "created_at": datetime.now(UTC),
    }


def _answer(row: Any) -> Answer:
    said = feedback_from_json(row.kind, row.said)
    return Answer(row.key, row.annotator, row.annotator_kind, said, row.seconds, row.amends)


def _held(connection: Connection, key: str) -> Answer | None:
    query = select(answers, annotators.c.kind.label("annotator_kind")).join(annotators).where(answers.c.key == key)
    row = connection.execute(query).one_or_none()
    return None if row is None else _answer(row)
