"""The feedback store: append-only, one transaction an answer, an idempotency key for each."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from harken.feedback.database import StoreError, database_url, open_database
from harken.feedback.desk.forgetting import STUDIO
from harken.feedback.forget import Forgotten, Further, forget
from harken.feedback.intake import (
    Intake,
    answer_record,
    completion_row,
    read_answer,
    read_completions,
    refuse_half_characters,
    refuse_unkeepable,
)
from harken.feedback.records import prompt_from_json, prompt_to_json
from harken.feedback.schema import TABLES, annotators, answers, completions, metadata, prompts
from harken.feedback.stream import Item, stream
from harken.types import Answer, Completion, Prompt


class FeedbackStore:
    """Prompts, completions, and what annotators said of them.

    Args:
        place: a path of an SQLite file, or a database URL.

    Raises:
        StoreError: if it cannot be opened, is no database, or was written by a newer harken.
    """

    def __init__(self, place: str | Path):
        self.url = database_url(place)
        self._engine = open_database(self.url)
        self._writer = self._engine.execution_options(writes=True)

    def __enter__(self) -> "FeedbackStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def engine(self) -> Engine:
        """The database; whoever writes begins with `execution_options(writes=True)`."""
        return self._engine

    def reading(self) -> Connection:
        """A connection for reading; use it in a `with`."""
        return self._engine.connect()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def add_prompts(self, given: Iterable[Prompt]) -> None:
        """Add prompts; one that is there already must be the same.

        Raises:
            StoreError: if an id is taken by another prompt.
        """
        rows = [{"id": prompt.id, "content": prompt_to_json(prompt)} for prompt in given]
        for row in rows:
            refuse_half_characters(row, f"prompt {row['id']!r}")
        with self._writer.begin() as connection:
            found = {row.id: row.content for row in connection.execute(select(prompts.c.id, prompts.c.content))}
            _add_new(connection, prompts, rows, {name: {"id": name, "content": c} for name, c in found.items()})

    def add_completions(self, given: Iterable[Completion]) -> None:
        """Add completions; one that is there already must be the same.

        Raises:
            StoreError: if an id is taken by another completion, or its prompt is not in the store.
        """
        rows = [completion_row(completion) for completion in given]
        for row in rows:
            refuse_half_characters(row, f"completion {row['id']!r}")
        with self._writer.begin() as connection:
            asked = set(connection.scalars(select(prompts.c.id)))
            for row in rows:
                if row["prompt_id"] not in asked:
                    raise StoreError(
                        f"completion {row['id']!r}: add its prompt {row['prompt_id']!r} to the store first"
                    )
            found = {c.id: completion_row(c) for c in read_completions(connection, select(completions))}
            _add_new(connection, completions, rows, found)

    def add(self, answer: Answer) -> Answer:
        """Check an answer and keep it, in one transaction; the first answer of a key stays.

        Returns:
            the answer that the store holds under this key: this one, or the one that came first.

        Raises:
            ValueError: if the statement makes no sense, the annotator's kind is another than before, or it amends what
                is not there.
        """
        return self.add_answers([answer])[0]

    def add_answers(self, given: Iterable[Answer]) -> list[Answer]:
        """Check answers and keep them, all in one transaction: as `add` of each in turn, but all of them or none.

        Returns:
            for each the answer that the store holds under its key: it, or the one that came first.

        Raises:
            ValueError: as `add`, for the first that cannot be kept; then none of them is.
        """
        several = list(given)
        for answer in several:
            refuse_unkeepable(answer)
        try:
            return self._add_answers(several)
        except IntegrityError:
            # Another writer was first with a key, annotator or revision: what it wrote now decides.
            return self._add_answers(several)

    def _add_answers(self, given: list[Answer]) -> list[Answer]:
        with self._writer.begin() as connection:
            intake = Intake(connection, given)
            kept = [intake.take(answer) for answer in given]
            intake.write()
        return kept

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
            found = [read_answer(row) for row in connection.execute(query)]
            if not amended:
                replaced = set(connection.scalars(select(answers.c.amends).where(answers.c.amends.is_not(None))))
                found = [answer for answer in found if answer.key not in replaced]
        return found

    def answers_with(self, keys: Sequence[str]) -> list[Answer]:
        """The answers of some keys, in the order that they came; a key without one is passed over."""
        query = select(answers, annotators.c.kind.label("annotator_kind")).join(annotators).order_by(answers.c.seq)
        with self._engine.connect() as connection:
            return [read_answer(row) for row in connection.execute(query.where(answers.c.key.in_(keys)))]

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
            return read_completions(connection, query)

    def has(self, key: str) -> bool:
        """Whether an answer of this key is there."""
        with self._engine.connect() as connection:
            return connection.scalar(select(answers.c.seq).where(answers.c.key == key)) is not None

    def keys(self) -> set[str]:
        """The keys of all answers."""
        with self._engine.connect() as connection:
            return set(connection.scalars(select(answers.c.key)))

    def counts(self) -> dict[str, int]:
        """Rows of each append-only table."""
        with self._engine.connect() as connection:
            tables = [metadata.tables[name] for name in TABLES]
            return {t.name: int(connection.scalar(select(func.count()).select_from(t)) or 0) for t in tables}

    def stream(self, at_once: int = 100) -> Iterator[Item]:
        """All prompts in the order that they came, each with all that was said of it, as the store was at the start.

        Args:
            at_once: how many prompts are held in memory.
        """
        # Else each query would see what was committed in the meantime; SQLite's transactions never do.
        level = {"isolation_level": "REPEATABLE READ"} if self._engine.dialect.name == "postgresql" else {}
        with self._engine.connect().execution_options(**level) as connection:
            yield from stream(connection, at_once)

    def forget(self, name: str, further: Sequence[Further] = ()) -> Forgotten:
        """Replace a name by a pseudonym everywhere, and end the account; see `harken.feedback.forget`.

        Raises:
            StoreError: if there is no such annotator.
        """
        return forget(self._engine, name, (*STUDIO, *further))

    def export_jsonl(self, path: Path) -> None:
        """Write all answers, amended ones too, one a line; the file is whole or it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".writing")
        with temporary.open("w", encoding="utf-8") as out:
            for answer in self.answers(amended=True):
                out.write(json.dumps(answer_record(answer), ensure_ascii=False) + "\n")
        temporary.replace(path)


def _add_new(connection: Connection, table: Any, rows: list[dict[str, Any]], found: Mapping[str, Any]) -> None:
    new: dict[str, dict[str, Any]] = {}
    for row in rows:
        there = found.get(row["id"], new.get(row["id"]))
        if there is None:
            new[row["id"]] = row
        elif there != row:
            raise StoreError(
                f"{table.name}: the id {row['id']!r} is taken by another one, and ids are for ever, since answers name "
                "them; give what was changed another id, or begin a new store (--out ANOTHER_FOLDER)"
            )
    if new:
        connection.execute(insert(table), list(new.values()))
