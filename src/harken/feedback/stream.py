"""What the store holds, prompt by prompt: for exports that must not hold everything at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from harken.feedback.intake import read_answer, read_completions
from harken.feedback.records import prompt_from_json
from harken.feedback.schema import annotators, answers, completions, prompts
from harken.types import Answer, Comparison, Completion, Prompt


@dataclass(frozen=True)
class Item:
    """A prompt with all that was said of it.

    Attributes:
        prompt: the prompt.
        completions: its completions, revisions included, in the order that they came.
        answers: what was said of them, amended answers too, in the order that they came.
        replaced: keys of those answers that a later one replaced.
        others: the other prompt and its completion, for comparisons across prompts, by the completion's id.
    """

    prompt: Prompt
    completions: tuple[Completion, ...]
    answers: tuple[Answer, ...]
    replaced: frozenset[str]
    others: Mapping[str, tuple[Prompt, Completion]]


def stream(connection: Connection, at_once: int) -> Iterator[Item]:
    """All prompts in the order that they came, of which `at_once` are held in memory.

    Only the keys of amended answers are held for the whole store.

    Args:
        connection: in a transaction that sees one state of the store until its end.
        at_once: prompts in one query.
    """
    replaced = frozenset(connection.scalars(select(answers.c.amends).where(answers.c.amends.is_not(None))))
    last = 0
    while rows := connection.execute(
        select(prompts).where(prompts.c.seq > last).order_by(prompts.c.seq).limit(at_once)
    ).all():
        last = rows[-1].seq
        yield from _items(connection, [prompt_from_json(row.content) for row in rows], replaced)


def _items(connection: Connection, asked: list[Prompt], replaced: frozenset[str]) -> Iterator[Item]:
    names = [prompt.id for prompt in asked]
    query = select(completions).where(completions.c.prompt_id.in_(names)).order_by(completions.c.seq)
    written = _by_prompt((completion.prompt_id, completion) for completion in read_completions(connection, query))
    said_of = (
        select(answers, annotators.c.kind.label("annotator_kind"))
        .join(annotators)
        .where(answers.c.prompt_id.in_(names))
        .order_by(answers.c.seq)
    )
    said = _by_prompt((row.prompt_id, read_answer(row)) for row in connection.execute(said_of))
    for prompt in asked:
        mine = tuple(said.get(prompt.id, ()))
        gone = frozenset(answer.key for answer in mine if answer.key in replaced)
        yield Item(prompt, tuple(written.get(prompt.id, ())), mine, gone, _others(connection, mine))


def _by_prompt(pairs: Iterator[tuple[str, Any]]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _others(connection: Connection, said: tuple[Answer, ...]) -> dict[str, tuple[Prompt, Completion]]:
    names = {
        answer.feedback.b
        for answer in said
        if isinstance(answer.feedback, Comparison) and answer.feedback.other_prompt_id is not None
    }
    out = {}
    for name in sorted(names):
        other = read_completions(connection, select(completions).where(completions.c.id == name))[0]
        content = connection.scalars(select(prompts.c.content).where(prompts.c.id == other.prompt_id)).one()
        out[name] = (prompt_from_json(content), other)
    return out
