"""Answers on their way into the store: many in one transaction, each checked as if those before it were there."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert, select

from harken.feedback.database import StoreError
from harken.feedback.kinds.edit import revision
from harken.feedback.records import check, feedback_from_json, feedback_to_json, kind_of, named_completions
from harken.feedback.schema import annotators, answers, completions
from harken.types import Answer, Completion, Edit

AT_ONCE = 5_000
"""Names in one query; SQLite takes 32,766."""


@dataclass
class Known:
    """What a process remembers of rows that never change, so that it need not ask for them again.

    Attributes:
        completions: by id.
        kinds: of annotators, by name. Whoever keeps this owns the store's desk: nobody is forgotten meanwhile.
    """

    completions: MutableMapping[str, Completion] = field(default_factory=dict)
    kinds: MutableMapping[str, str] = field(default_factory=dict)


class Intake:
    """What the store holds that the given answers touch, and what they add to it.

    Args:
        connection: in a transaction that writes.
        given: the answers.
        known: what need not be asked for.
    """

    def __init__(self, connection: Connection, given: Sequence[Answer], known: Known | None = None):
        known = known or Known()
        self._connection = connection
        amended = {answer.amends for answer in given if answer.amends is not None}
        self._held = _held(connection, {answer.key for answer in given} | amended)
        self._replaced = _replaced(connection, amended)
        who = {answer.annotator for answer in given}
        self._kinds = {name: known.kinds[name] for name in who if name in known.kinds}
        self._kinds |= _kinds(connection, who - self._kinds.keys())
        fresh = [answer for answer in given if answer.key not in self._held]
        self._revisions = {id(a): revision(a.feedback, a.annotator) for a in fresh if isinstance(a.feedback, Edit)}
        named = {name for answer in fresh for name in named_completions(answer.feedback)}
        named |= {better.id for better in self._revisions.values()}
        # Another thread may let go of some at any moment.
        self._completions = {n: one for n in named if (one := known.completions.get(n)) is not None}
        self._completions |= _named(connection, named - self._completions.keys())
        self._new: tuple[list[Any], list[Any], list[Any]] = ([], [], [])

    def take(self, answer: Answer) -> Answer:
        """Check an answer and keep it; the first of a key stays.

        Returns:
            the answer that the store then holds under this key.

        Raises:
            ValueError: as `FeedbackStore.add`.
        """
        held = self._held.get(answer.key)
        if held is not None:
            return held
        check(answer.feedback, self._completions)
        self._take_annotator(answer)
        self._check_amends(answer)
        if isinstance(answer.feedback, Edit):
            self._take_revision(self._revisions[id(answer)])
        self._new[2].append(_answer_row(answer))
        self._held[answer.key] = answer
        return answer

    def take_all(self, given: Sequence[Answer]) -> list[Answer]:
        """Take some answers, or none of them.

        Returns:
            for each the answer that the store then holds under its key.

        Raises:
            ValueError: as `FeedbackStore.add`; then nothing of them is kept.
        """
        kept: tuple[dict[str, Any], ...] = (self._held, self._replaced, self._kinds, self._completions)
        sizes, rows = [len(one) for one in kept], [len(one) for one in self._new]
        try:
            return [self.take(answer) for answer in given]
        except ValueError:
            # Taking only adds, so what came last is what came of these.
            for one, size in zip(kept, sizes, strict=True):
                while len(one) > size:
                    one.popitem()
            for table, size in zip(self._new, rows, strict=True):
                del table[size:]
            raise

    def write(self) -> None:
        """Add what was taken."""
        for table, rows in zip((annotators, completions, answers), self._new, strict=True):
            if rows:
                self._connection.execute(insert(table), rows)

    def _take_annotator(self, answer: Answer) -> None:
        kind = self._kinds.get(answer.annotator)
        if kind is None:
            self._kinds[answer.annotator] = answer.annotator_kind
            self._new[0].append({"id": answer.annotator, "kind": answer.annotator_kind})
        elif kind != answer.annotator_kind:
            raise StoreError(
                f"annotator {answer.annotator!r} is {kind} in this store and cannot answer as {answer.annotator_kind}; "
                "give the other one another name"
            )

    def _check_amends(self, answer: Answer) -> None:
        if answer.amends is None:
            return
        earlier = self._held.get(answer.amends)
        if earlier is None:
            raise StoreError(f"answer {answer.key!r} amends {answer.amends!r}, and there is no such answer")
        if earlier.annotator != answer.annotator:
            raise StoreError(
                f"answer {answer.key!r} of {answer.annotator!r} amends {answer.amends!r} of {earlier.annotator!r}; "
                "annotators amend their own answers only"
            )
        later = self._replaced.setdefault(answer.amends, answer.key)
        if later != answer.key:
            raise StoreError(
                f"answer {answer.key!r} amends {answer.amends!r}, which {later!r} replaced; amend {later!r} instead"
            )

    def _take_revision(self, better: Completion) -> None:
        there = self._completions.get(better.id)
        if there is None:
            self._completions[better.id] = better
            self._new[1].append(completion_row(better))
        elif there != better:
            raise StoreError(
                f"completions: the id {better.id!r} of a revision is taken by another one; ids are for ever"
            )


def answer_record(answer: Answer) -> dict[str, Any]:
    """An answer as plain data, for people and other programs."""
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


def read_answer(row: Any) -> Answer:
    """An answer from a row of the table, joined with its annotator's kind."""
    said = feedback_from_json(row.kind, row.said)
    return Answer(row.key, row.annotator, row.annotator_kind, said, row.seconds, row.amends, row.people)


def read_completions(connection: Connection, query: Any) -> list[Completion]:
    """Completions that a query finds."""
    rows = connection.execute(query)
    return [Completion(row.id, row.prompt_id, row.text, row.policy, bool(row.finished)) for row in rows]


def completion_row(completion: Completion) -> dict[str, Any]:
    """A completion as a row of the table."""
    return {
        "id": completion.id,
        "prompt_id": completion.prompt_id,
        "text": completion.text,
        "policy": completion.policy,
        "finished": completion.finished,
    }


def refuse_unkeepable(answer: Answer) -> None:
    """Refuse an answer whose envelope no store can keep.

    Raises:
        StoreError: saying why.
    """
    if not answer.key or not answer.annotator:
        raise StoreError(f"answer {answer.key!r} of {answer.annotator!r}: an answer needs a key and an annotator")
    if answer.count < 1:
        raise StoreError(f"answer {answer.key!r}: {answer.count} people said it; an answer is said by at least one")
    if answer.seconds is not None and not (math.isfinite(answer.seconds) and answer.seconds >= 0):
        raise StoreError(f"answer {answer.key!r}: it took {answer.seconds} seconds; give a time, or None if unknown")
    refuse_half_characters(answer_record(answer), f"answer {answer.key!r}")


def refuse_half_characters(row: Mapping[str, Any], what: str) -> None:
    """Refuse a row with a text that cannot be written as UTF-8.

    Raises:
        StoreError: naming what.
    """
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise StoreError(
            f"{what} has half a character (a lone surrogate), which cannot be kept; read the text with errors='replace'"
        ) from error


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


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    ordered = iter(sorted(names))
    while chunk := list(islice(ordered, AT_ONCE)):
        yield chunk


def _held(connection: Connection, keys: set[str]) -> dict[str, Answer]:
    query = select(answers, annotators.c.kind.label("annotator_kind")).join(annotators)
    rows = (row for chunk in _chunks(keys) for row in connection.execute(query.where(answers.c.key.in_(chunk))))
    return {row.key: read_answer(row) for row in rows}


def _replaced(connection: Connection, keys: set[str]) -> dict[str, str]:
    query = select(answers.c.amends, answers.c.key)
    rows = (row for chunk in _chunks(keys) for row in connection.execute(query.where(answers.c.amends.in_(chunk))))
    return {row.amends: row.key for row in rows}


def _kinds(connection: Connection, names: set[str]) -> dict[str, str]:
    query = select(annotators.c.id, annotators.c.kind)
    rows = (row for chunk in _chunks(names) for row in connection.execute(query.where(annotators.c.id.in_(chunk))))
    return {row.id: row.kind for row in rows}


def _named(connection: Connection, names: set[str]) -> dict[str, Completion]:
    query = select(completions)
    found = (read_completions(connection, query.where(completions.c.id.in_(chunk))) for chunk in _chunks(names))
    return {completion.id: completion for several in found for completion in several}
