"""A conversation with a model, as prompts, completions and answers of the store.

Each turn is a prompt of its own: the conversation so far, and what was said now. Who may go on with an answer, or judge
it, is seen in its id: random, with a seal that only the visitor who was given it can have. The prompt names nobody.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from harken.feedback.intake import Intake, completion_row, read_completions, refuse_half_characters, refuse_unkeepable
from harken.feedback.records import check, prompt_to_json
from harken.feedback.schema import completions, prompts
from harken.studio.state import Studio
from harken.types import (
    Answer,
    Choice,
    Comparison,
    Completion,
    Feedback,
    Message,
    Part,
    Prompt,
    Rating,
    Text,
    modality_of,
)

THUMBS = "thumbs"
"""The criterion of thumbs: ratings with two levels, 1 down and 2 up."""
LONGEST = 32
"""Turns of a conversation: each is what somebody said, and an answer to it."""


@dataclass(frozen=True)
class Exchange:
    """What was asked, and what was answered."""

    prompt: Prompt
    completions: tuple[Completion, ...]


def _seal(studio: Studio, *words: str) -> str:
    return hmac.new(studio.accounts.secret, "\x1f".join(("chat", *words)).encode(), hashlib.sha256).hexdigest()[:32]


def turn_id(studio: Studio, name: str, key: str) -> str:
    """The prompt's id of a turn: the same for the same key of the same visitor."""
    return f"chat-{_seal(studio, 'turn', name, key)}"


def new_id(studio: Studio, name: str) -> str:
    """An id for an answer to somebody."""
    chance = secrets.token_hex(16)
    return f"chat-{chance}-{_seal(studio, 'answer', name, chance)}"


def is_of(studio: Studio, name: str, completion: str) -> bool:
    """Whether an answer was given to this visitor."""
    head, _, rest = completion.partition("-")
    chance, _, seal = rest.partition("-")
    return head == "chat" and hmac.compare_digest(seal.encode(), _seal(studio, "answer", name, chance).encode())


def conversation(studio: Studio, name: str, after: str | None, parts: Sequence[Part]) -> tuple[Message, ...]:
    """The conversation up to now: what led to an answer, that answer, and what is said now.

    Raises:
        ValueError: if the answer was not given to this visitor, the conversation is too long, or a medium is not there.
    """
    for part in parts:
        if not isinstance(part, Text):
            found = studio.media.find(part.sha256)
            kind = modality_of(part)
            if found is None or found.modality != kind:
                raise ValueError(f"there is no such {kind}; upload it first")
    said = (Message("user", tuple(parts)),)
    if after is None:
        return said
    before = answer_of(studio, name, after)
    so_far = studio.prompt(before.prompt_id).messages
    if sum(message.role == "user" for message in so_far) >= LONGEST:
        raise ValueError(f"a conversation has at most {LONGEST} turns; begin another")
    return (*so_far, Message("assistant", (Text(before.text),)), *said)


def answer_of(studio: Studio, name: str, completion: str) -> Completion:
    """An answer that was given to a visitor.

    Raises:
        ValueError: if there is none.
    """
    if is_of(studio, name, completion):
        # Not from memory: an answer that is being written has its id before it is kept.
        with studio.store.reading() as connection:
            for found in read_completions(connection, select(completions).where(completions.c.id == completion)):
                return found
    raise ValueError("this answer was not given to you")


def kept(studio: Studio, turn: str) -> Exchange | None:
    """What the store holds of a turn."""
    with studio.store.reading() as connection:
        if connection.scalar(select(prompts.c.seq).where(prompts.c.id == turn)) is None:
            return None
        query = select(completions).where(completions.c.prompt_id == turn).order_by(completions.c.seq)
        said = tuple(c for c in read_completions(connection, query) if not c.policy.startswith("annotator:"))
    return Exchange(studio.prompt(turn), said)


def write_exchanges(connection: Connection, requests: Sequence[Exchange]) -> list[Any]:
    """Keep turns with their answers; the first of a turn stays (`GroupCommit`'s work)."""
    out: list[Any] = []
    for one in requests:
        row = {"id": one.prompt.id, "content": prompt_to_json(one.prompt)}
        rows = [completion_row(completion) for completion in one.completions]
        try:
            for each in (row, *rows):
                refuse_half_characters(each, "this turn")
        except ValueError as refused:
            out.append(refused)
            continue
        there = connection.scalar(select(prompts.c.seq).where(prompts.c.id == one.prompt.id)) is not None
        if not there:
            connection.execute(insert(prompts), row)
            connection.execute(insert(completions), rows)
        out.append(not there)
    return out


def choice_answer(studio: Studio, name: str, sides: tuple[str, str], choice: Choice, seconds: float | None) -> Answer:
    """Which of two answers is better, as an answer of the store.

    Raises:
        ValueError: if they were not given to this visitor, or it makes no sense.
    """
    said = Comparison(answer_of(studio, name, sides[0]).prompt_id, *sides, choice)
    return _answer(studio, name, said, f"{said.prompt_id}:choice", seconds)


def thumb_answer(studio: Studio, name: str, given: str, up: bool, seconds: float | None, amends: int) -> Answer:
    """A thumb up or down, as an answer of the store.

    Raises:
        ValueError: if the answer was not given to this visitor.
    """
    said = Rating(answer_of(studio, name, given).prompt_id, given, 2 if up else 1, 2, THUMBS)
    return _answer(studio, name, said, f"{given}:thumb", seconds, amends)


def _answer(studio: Studio, name: str, said: Feedback, key: str, seconds: float | None, amends: int = 0) -> Answer:
    names = (said.a, said.b) if isinstance(said, Comparison) else (said.completion,) if isinstance(said, Rating) else ()
    check(said, {one: answer_of(studio, name, one) for one in names})
    versions = [key, *(f"{key}~{n}" for n in range(1, amends + 1))]
    before = versions[-2] if amends else None
    return Answer(versions[-1], name, "human", said, seconds, before)


def write_answers(connection: Connection, requests: Sequence[Answer]) -> list[Any]:
    """Keep answers, each or the error by which it is refused; the first of a key stays (`GroupCommit`'s work)."""
    intake = Intake(connection, requests)
    out: list[Any] = []
    for answer in requests:
        try:
            refuse_unkeepable(answer)
            out += intake.take_all([answer])
        except ValueError as refused:
            out.append(refused)
    intake.write()
    return out
