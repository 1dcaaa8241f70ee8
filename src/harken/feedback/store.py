"""The feedback store: append-only, one transaction an answer, an idempotency key for each."""

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from harken.feedback.database import StoreError, database_url, open_database
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
            _refuse_half_characters(row, f"prompt {row['id']!r}")
        with self._writer.begin() as connection:
            found = {row.id: row.content for row in connection.execute(select(prompts.c.id, prompts.c.content))}
            _add_new(connection, prompts, rows, {name: {"id": name, "content": c} for name, c in found.items()})

    def add_completions(self, given: Iterable[Completion]) -> None:
        """Add completions; one that is there already must be the same.

        Raises:
            StoreError: if an id is taken by another completion, or its prompt is not in the store.
        """
        rows = [_completion_row(completion) for completion in given]
        for row in rows:
            _refuse_half_characters(row, f"completion {row['id']!r}")
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
        _refuse_unkeepable(answer)
        try:
            return self._add(answer)
        except IntegrityError:
            # Another writer was first with this key, annotator or revision: what it wrote now decides.
            return self._add(answer)

    def _add(self, answer: Answer) -> Answer:
        with self._writer.begin() as connection:
            held = _held(connection, answer.key)
            if held is not None:
                return held
            said = answer.feedback
            named = completions.c.id.in_(named_completions(said))
            check(said, {c.id: c for c in _completions(connection, select(completions).where(named))})
            _take_annotator(connection, answer)
            _check_amends(connection, answer)
            if isinstance(said, Edit):
                _take_revision(connection, revision(said, answer.annotator))
            connection.execute(insert(answers), _answer_row(answer))
        return answer

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
                out.write(json.dumps(_record(answer), ensure_ascii=False) + "\n")
        temporary.replace(path)


def _record(answer: Answer) -> dict[str, Any]:
    return {
        "key": answer.key,
        "annotator": answer.annotator,
        "annotator_kind": answer.annotator_kind,
        "kind": kind_of(answer.feedback),
        "said": feedback_to_json(answer.feedback),
        "seconds": answer.seconds,
        "amends": answer.amends,
        "count": answer.count,
    }


def _refuse_unkeepable(answer: Answer) -> None:
    if not answer.key or not answer.annotator:
        raise StoreError(f"answer {answer.key!r} of {answer.annotator!r}: an answer needs a key and an annotator")
    if answer.count < 1:
        raise StoreError(f"answer {answer.key!r}: {answer.count} people said it; an answer is said by at least one")
    if answer.seconds is not None and not (math.isfinite(answer.seconds) and answer.seconds >= 0):
        raise StoreError(f"answer {answer.key!r}: it took {answer.seconds} seconds; give a time, or None if unknown")
    _refuse_half_characters(_record(answer), f"answer {answer.key!r}")


def _refuse_half_characters(row: Mapping[str, Any], what: str) -> None:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{what} has half a character (a lone surrogate), which cannot be kept; read the text with errors='replace'"
        ) from error


def _take_annotator(connection: Connection, answer: Answer) -> None:
    kind = connection.scalar(select(annotators.c.kind).where(annotators.c.id == answer.annotator))
    if kind is None:
        connection.execute(insert(annotators), {"id": answer.annotator, "kind": answer.annotator_kind})
    elif kind != answer.annotator_kind:
        raise StoreError(
            f"annotator {answer.annotator!r} is {kind} in this store and cannot answer as {answer.annotator_kind}; "
            "give the other one another name"
        )


def _check_amends(connection: Connection, answer: Answer) -> None:
    if answer.amends is None:
        return
    earlier = _held(connection, answer.amends)
    if earlier is None:
        raise StoreError(f"answer {answer.key!r} amends {answer.amends!r}, and there is no such answer")
    if earlier.annotator != answer.annotator:
        raise StoreError(
            f"answer {answer.key!r} of {answer.annotator!r} amends {answer.amends!r} of {earlier.annotator!r}; "
            "annotators amend their own answers only"
        )
    later = connection.scalar(select(answers.c.key).where(answers.c.amends == answer.amends))
    if later is not None:
        raise StoreError(
            f"answer {answer.key!r} amends {answer.amends!r}, which {later!r} replaced; amend {later!r} instead"
        )


def _take_revision(connection: Connection, better: Completion) -> None:
    there = _completions(connection, select(completions).where(completions.c.id == better.id))
    if not there:
        connection.execute(insert(completions), _completion_row(better))
    elif there != [better]:
        raise StoreError(f"completions: the id {better.id!r} of a revision is taken by another one; ids are for ever")


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
        "people": answer.count,
        "created_at": datetime.now(UTC),
    }


def _answer(row: Any) -> Answer:
    said = feedback_from_json(row.kind, row.said)
    return Answer(row.key, row.annotator, row.annotator_kind, said, row.seconds, row.amends, row.people)


def _held(connection: Connection, key: str) -> Answer | None:
    query = select(answers, annotators.c.kind.label("annotator_kind")).join(annotators).where(answers.c.key == key)
    row = connection.execute(query).one_or_none()
    return None if row is None else _answer(row)
