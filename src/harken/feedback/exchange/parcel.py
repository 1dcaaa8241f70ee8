"""What one record of a file brings: prompts, completions, answers; and these as harken's own field of the record.

A format seldom holds all that an answer is. So every record that harken writes has one field more, `harken`, with the
whole of it as JSON. Who reads it back compares the two: a record that was changed on the way is refused, never
half-believed.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from harken.feedback.exchange.tables import DataError
from harken.feedback.intake import answer_record, completion_row
from harken.feedback.kinds.edit import revision
from harken.feedback.records import feedback_from_json, named_completions, prompt_from_json, prompt_to_json
from harken.feedback.stream import Item
from harken.feedback.strict import fields
from harken.types import AnnotatorKind, Answer, Completion, Edit, Feedback, Prompt

KINDS: tuple[str, ...] = get_args(AnnotatorKind)
FIELD = "harken"
ENVELOPE = {"key": str, "annotator": str, "annotator_kind": str, "kind": str, "said": dict, "count": int}


@dataclass(frozen=True)
class Parcel:
    """Prompts, completions and answers that belong together. `skipped` says what of the record was left out."""

    prompts: tuple[Prompt, ...] = ()
    completions: tuple[Completion, ...] = ()
    answers: tuple[Answer, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def by_id(self) -> dict[str, Completion]:
        """Its completions by id."""
        return {completion.id: completion for completion in self.completions}


@dataclass
class Tally:
    """What an export wrote, and what the format could not hold.

    Attributes:
        records: records in the file.
        answers: answers in them.
        left: how many of what were left out.
    """

    records: int = 0
    answers: int = 0
    left: Counter[str] = field(default_factory=Counter)


def parcel(item: Item, said: Collection[Answer]) -> Parcel:
    """Some answers of an item, with the prompts and completions that they speak of and no others."""
    named = {name for answer in said for name in named_completions(answer.feedback)}
    own = tuple(completion for completion in item.completions if completion.id in named)
    others = [other for name, other in item.others.items() if name in named]
    prompts = dict.fromkeys(prompt.id for prompt, _ in others)
    known = {prompt.id: prompt for prompt, _ in others}
    foreign = tuple(completion for _, completion in others)
    return Parcel((item.prompt, *(known[name] for name in prompts)), own + foreign, tuple(said))


def count_left(tally: Tally, item: Item, sent: Collection[Answer]) -> None:
    """Count what of an item is not told by the answers that were sent."""
    tally.answers += len(sent)
    if not sent:
        tally.left["prompts without such answers"] += 1
    told = {name for answer in sent for name in named_completions(answer.feedback)}
    told |= {revision(a.feedback, a.annotator).id for a in sent if isinstance(a.feedback, Edit)}
    untold = sum(1 for completion in item.completions if completion.id not in told)
    if untold:
        tally.left["completions that no such answer names"] += untold


def statement_by_statement(
    items: Iterable[Item], tally: Tally, cannot_hold: Callable[[Feedback], str]
) -> Iterator[Parcel]:
    """A parcel for each last word that a format of single statements holds; what it does not hold is counted.

    Args:
        items: of a store.
        tally: what is left out is counted there.
        cannot_hold: why the format does not hold what was said; empty where it does.
    """
    for item in items:
        sent = []
        for answer in item.answers:
            amended = answer.key in item.replaced
            why = "answers that were amended" if amended else cannot_hold(answer.feedback)
            if why:
                tally.left[why] += 1
                continue
            if answer.amends is not None:
                tally.left["that an answer amends an earlier one"] += 1
            sent.append(answer)
            yield parcel(item, [replace(answer, amends=None)])
        count_left(tally, item, sent)


def to_json(given: Parcel) -> dict[str, Any]:
    """As plain data."""
    return {
        "prompts": [prompt_to_json(prompt) for prompt in given.prompts],
        "completions": [completion_row(completion) for completion in given.completions],
        "answers": [answer_record(answer) for answer in given.answers],
    }


def to_text(given: Parcel) -> str:
    """As JSON in one line."""
    return json.dumps(to_json(given), ensure_ascii=False)


def from_json(value: Any, place: str) -> Parcel:
    """What `to_json` or `to_text` wrote.

    Raises:
        DataError: if it is not exactly that.
    """
    try:
        if isinstance(value, str):
            value = json.loads(value)
        read = fields(value, FIELD, {"prompts": list, "completions": list, "answers": list})
        return Parcel(
            tuple(prompt_from_json(prompt) for prompt in read["prompts"]),
            tuple(completion_from_json(completion) for completion in read["completions"]),
            tuple(answer_from_json(answer) for answer in read["answers"]),
        )
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{place}: the field {FIELD!r} is not as harken wrote it ({error}); without the field the record is read "
            "as one of another program"
        ) from error


def completion_from_json(value: Any) -> Completion:
    """A completion from plain data.

    Raises:
        ValueError: if it is not exactly one.
    """
    types = {"id": str, "prompt_id": str, "text": str, "policy": str, "finished": bool}
    return Completion(**fields(value, "completion", types))


def answer_from_json(value: Any) -> Answer:
    """What `answer_record` wrote.

    Raises:
        ValueError: if it is not exactly that.
    """
    given = dict(value) if isinstance(value, Mapping) else {}
    seconds, amends = given.pop("seconds", None), given.pop("amends", None)
    read = fields(given, "answer", ENVELOPE)
    if read["annotator_kind"] not in KINDS:
        raise ValueError(f"answer: annotator_kind is one of {', '.join(KINDS)}, not {read['annotator_kind']!r}")
    if not (seconds is None or (isinstance(seconds, int | float) and not isinstance(seconds, bool))):
        raise ValueError(f"answer: seconds is a number or null, not {seconds!r}")
    if not (amends is None or isinstance(amends, str)):
        raise ValueError(f"answer: amends is a key or null, not {amends!r}")
    said = feedback_from_json(read["kind"], read["said"])
    time = None if seconds is None else float(seconds)
    return Answer(read["key"], read["annotator"], read["annotator_kind"], said, time, amends, read["count"])


def refuse_changed(found: Mapping[str, Any], wrote: Mapping[str, Any], place: str) -> None:
    """Refuse a record whose own fields say other than its field `harken`.

    Args:
        found: the record.
        wrote: what harken writes for the record's field `harken`; other fields of the record are free.
        place: of the record, for the error.

    Raises:
        DataError: naming the first field that was changed.
    """
    for name, value in wrote.items():
        if name != FIELD and found.get(name) != value:
            raise DataError(
                f"{place}: {name!r} was changed after harken wrote it, and {FIELD!r} says what it was; take the field "
                f"{FIELD!r} out of the record, and it is read as it stands, as one of another program"
            )


def places(name: str, records: Iterator[Any]) -> Iterator[tuple[str, Any]]:
    """Records with their places for errors: `file, record 3`."""
    for number, record in enumerate(records, start=1):
        yield f"{name}, record {number}", record
