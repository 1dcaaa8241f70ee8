"""Battles as the Chatbot Arena publishes them (2403.04132): two models, two conversations, a winner, a judge.

A JSON list, or JSON lines where the file is named so. Turns have OpenAI's contents: text, or parts with pictures and
sounds as base64. `tstamp` is left out, since an answer does not say when it was.

Held: comparisons, with ties and `tie (bothbad)`. Not held, and counted: ratings, rankings, edits, comparisons across
two prompts, answers that were amended (the last word is there, and no longer says that it amends).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harken.data.blobs import Blobs
from harken.data.media.limits import MediaError
from harken.feedback.exchange.foreign import Foreign, single
from harken.feedback.exchange.jsonfile import JsonOut, read_json
from harken.feedback.exchange.parcel import (
    FIELD,
    Parcel,
    Tally,
    from_json,
    refuse_changed,
    statement_by_statement,
    to_json,
)
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.templates import shown
from harken.feedback.exchange.turns import Reader, openai_turns
from harken.feedback.store import FeedbackStore
from harken.types import AnnotatorKind, Choice, Comparison, Feedback, Message, Text

SUFFIXES = (".json", ".jsonl")
WINNERS: dict[Choice, str] = {"a": "model_a", "b": "model_b", "tie": "tie", "both_bad": "tie (bothbad)"}
CHOICES: dict[str, Choice] = {winner: choice for choice, winner in WINNERS.items()} | {"both_bad": "both_bad"}
LEFT = {"rating": "ratings", "ranking": "rankings", "edit": "edits"}


def write(store: FeedbackStore, blobs: Blobs, out: BinaryIO, suffix: str = ".json") -> Tally:
    """Write the comparisons, as they come out of the store.

    Raises:
        MediaError: if a medium is not there.
    """
    tally = Tally()
    with JsonOut(out, suffix == ".jsonl") as records:
        for given in statement_by_statement(store.stream(), tally, _cannot_hold):
            records.add(_battle(given, blobs))
            tally.records += 1
    return tally


def read(file: Path, blobs: Blobs, levels: int = 5) -> Iterator[Parcel]:
    """Read battles, harken's own and those of other programs.

    Raises:
        DataError: what is wrong, and in which record.
    """
    foreign = Foreign("arena", file, blobs, levels)
    for place, row in read_json(file):
        if row.get(FIELD) is None:
            yield _others(row, foreign.reader(place), foreign)
            continue
        given = from_json(row[FIELD], place)
        if len(given.answers) != 1 or not isinstance(given.answers[0].feedback, Comparison) or not given.prompts:
            raise DataError(f"{place}: the field {FIELD!r} must hold one comparison; take it out to read the rest")
        # Read for their media, and to see that the conversations are what the field says.
        reader = foreign.reader(place)
        reader.turns(row.get("conversation_a"), "conversation_a")
        try:
            refuse_changed(row, _battle(given, blobs), place)
        except (KeyError, MediaError) as error:
            raise DataError(f"{place}: {FIELD!r} names what the record lacks ({error}); take the field out") from error
        yield given


def _cannot_hold(said: Feedback) -> str:
    match said:
        case Comparison(other_prompt_id=None):
            return ""
        case Comparison():
            return "comparisons across two prompts"
        case _:
            return LEFT[type(said).__name__.lower()]


def _battle(given: Parcel, blobs: Blobs) -> dict[str, Any]:
    prompt, answer = given.prompts[0], given.answers[0]
    said = answer.feedback
    assert isinstance(said, Comparison), "no other kind is sent"
    a, b = given.by_id[said.a], given.by_id[said.b]
    turns = openai_turns(prompt, blobs)
    return {
        "question_id": answer.key,
        "model_a": a.policy,
        "model_b": b.policy,
        "winner": WINNERS[said.choice],
        "judge": answer.annotator,
        "conversation_a": [*turns, {"role": "assistant", "content": a.text}],
        "conversation_b": [*turns, {"role": "assistant", "content": b.text}],
        "turn": sum(1 for message in prompt.messages if message.role == "user"),
        "anony": True,
        FIELD: to_json(given),
    }


def _others(row: Mapping[str, Any], reader: Reader, foreign: Foreign) -> Parcel:
    place = reader.place
    missing = [name for name in ("conversation_a", "conversation_b", "winner") if row.get(name) is None]
    if missing:
        raise DataError(f"{place}: no {missing[0]!r}; a battle has model_a, model_b, winner and two conversations")
    if row["winner"] not in CHOICES:
        raise DataError(f"{place}: the winner is {shown(row['winner'])}; it is one of {', '.join(CHOICES)}")
    (asked, a_text), (asked_b, b_text) = (
        _split(reader.turns(row[name], name), name, place) for name in ("conversation_a", "conversation_b")
    )
    if asked != asked_b:
        raise DataError(
            f"{place}: the two conversations differ before their last turns, so they are not answers to one prompt; "
            "leave the battle out, or cut both to their first exchange"
        )
    prompt = foreign.prompt(asked, place)
    a, b = foreign.pair(prompt, [a_text, b_text], [row.get("model_a"), row.get("model_b")], place)
    # The arena's judges are people, unless they say that they are models.
    judge = row.get("judge")
    kind: AnnotatorKind = "model" if isinstance(judge, list) else "human"
    who = judge[0] if isinstance(judge, list) and judge else judge
    said = Comparison(prompt.id, a.id, b.id, CHOICES[row["winner"]])
    return single(prompt, (a, b), (foreign.answer(said, {a.id: a, b.id: b}, place, who, kind),))


def _split(messages: tuple[Message, ...], name: str, place: str) -> tuple[tuple[Message, ...], str]:
    if not messages or messages[-1].role != "assistant" or not all(isinstance(p, Text) for p in messages[-1].parts):
        raise DataError(f"{place}: {name} must end with a turn of the assistant, of text")
    return messages[:-1], "\n".join(part.text for part in messages[-1].parts if isinstance(part, Text))
