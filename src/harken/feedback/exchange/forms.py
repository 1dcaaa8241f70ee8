"""What a record says of its completions: ratings, comparisons, choices, and the counted votes of a crowd."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from harken.feedback.exchange.mapping import (
    ChoiceOf,
    ComparisonOf,
    CountsOf,
    RatingOf,
    Said,
    grades,
)
from harken.feedback.exchange.templates import MISSING, RecordError, fill, find, number, shown, value_of, written
from harken.types import AnnotatorKind, Comparison, Completion, Feedback, Ranking, Rating


@dataclass(frozen=True)
class Statement:
    """What an annotator said, not yet in its envelope."""

    annotator: str
    kind: AnnotatorKind
    feedback: Feedback
    count: int = 1


@dataclass(frozen=True)
class Voice:
    """One value of one annotator: `order` is its place among all values of the form, `field` where it stands."""

    value: Any
    annotator: str
    field: str
    order: int


def statements(
    form: RatingOf | ComparisonOf | ChoiceOf | CountsOf, fields: Mapping[str, Any], shown_to: Sequence[Completion]
) -> Iterator[Statement]:
    """What a record says in one form.

    Args:
        form: how it says it.
        fields: the record's.
        shown_to: the record's completions, in order.

    Raises:
        RecordError: if a value is missing or makes no sense.
    """
    if isinstance(form, CountsOf):
        yield from _counts(form, fields, shown_to)
        return
    say: Callable[[Voice], Feedback]
    match form:
        case RatingOf():
            say = lambda voice: _rating(form, voice, shown_to)  # noqa: E731
        case ComparisonOf():
            say = lambda voice: _comparison(form, voice, shown_to)  # noqa: E731
        case ChoiceOf():
            say = lambda voice: _choice(form, voice, shown_to)  # noqa: E731
    for voice in _voices(form, fields):
        yield Statement(voice.annotator, form.kind, say(voice))


def _voices(form: Said, fields: Mapping[str, Any]) -> Iterator[Voice]:
    """Every value of the form's fields, with the annotator whose it is."""
    if isinstance(form, ComparisonOf) and form.choice is not None:
        yield Voice(form.choice, fill(form.annotator, fields), "choice", 0)
        return
    order = 0
    for name in (form.field,) if isinstance(form.field, str) else form.field:
        value = find(fields, name) if form.blanks else value_of(fields, name)
        items: list[tuple[object, Any]] = [("", value)]
        if isinstance(value, list):
            items = list(enumerate(value))
        elif isinstance(value, Mapping):
            items = list(value.items())
        for key, item in items:
            at = f"{name}.{key}" if key != "" else name
            if item is MISSING or item is None or item == "":
                if not form.blanks:
                    raise RecordError(at, "empty; write a value, or `blanks: true` where that means no answer")
            else:
                known = {**fields, "@field": name, "@index": str(key), "@key": str(key)}
                yield Voice(item, fill(form.annotator, known), at, order)
            order += 1


def _one(shown_to: Sequence[Completion], number_: int, what: str) -> Completion:
    if not 0 <= number_ < len(shown_to):
        raise RecordError(what, f"there is no completion {number_}; the record has {len(shown_to)}, counted from 0")
    return shown_to[number_]


def _rating(form: RatingOf, voice: Voice, shown_to: Sequence[Completion]) -> Rating:
    value = number(voice.value, voice.field)
    if not min(form.low, form.high) <= value <= max(form.low, form.high):
        raise RecordError(
            voice.field,
            f"{shown(voice.value)} is not on the scale from {form.low:g} to {form.high:g}; correct the value, or low "
            "and high in the mapping",
        )
    levels = grades(form)
    # Halves go up: Python's own rounding would send every other one down.
    score = 1 + math.floor((value - form.low) / (form.high - form.low) * (levels - 1) + 0.5)
    about = _one(shown_to, voice.order if form.per == "completion" else form.completion, voice.field)
    return Rating(about.prompt_id, about.id, score, levels, form.criterion)


def _comparison(form: ComparisonOf, voice: Voice, shown_to: Sequence[Completion]) -> Comparison:
    choice = form.choice
    if choice is None:
        table = {written(key, voice.field): said for key, said in form.choices.items()}
        value = written(voice.value, voice.field)
        if value not in table:
            raise RecordError(voice.field, f"{value!r} is no choice; the mapping's choices are {', '.join(table)}")
        choice = table[value]
    a, b = _one(shown_to, form.a, "comparison.a"), _one(shown_to, form.b, "comparison.b")
    return Comparison(a.prompt_id, a.id, b.id, choice, form.criterion)


def _choice(form: ChoiceOf, voice: Voice, shown_to: Sequence[Completion]) -> Ranking:
    if form.by == "text":
        chosen = _by_text(written(voice.value, voice.field), voice.field, shown_to)
    else:
        value = number(voice.value, voice.field)
        if not value.is_integer():
            raise RecordError(voice.field, f"{shown(voice.value)} is no whole number")
        chosen = _one(shown_to, int(value) - form.first, voice.field)
    return _first_of(chosen, shown_to, form.criterion)


def _by_text(text: str, field: str, shown_to: Sequence[Completion]) -> Completion:
    found = [completion for completion in shown_to if completion.text == text.strip()]
    if not found:
        texts = [completion.text for completion in shown_to]
        near = get_close_matches(text, texts, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(texts)[:300]}"
        raise RecordError(field, f"{shown(text)} is none of the completions; {hint}")
    return found[0]


def _first_of(chosen: Completion, shown_to: Sequence[Completion], criterion: str) -> Ranking:
    rest = tuple(completion.id for completion in shown_to if completion.id != chosen.id)
    return Ranking(chosen.prompt_id, ((chosen.id,),), rest, criterion)


def _counts(form: CountsOf, fields: Mapping[str, Any], shown_to: Sequence[Completion]) -> Iterator[Statement]:
    annotator = fill(form.annotator, fields)
    for name, grade in form.grades.items():
        if count := _votes(name, fields):
            about = _one(shown_to, form.completion, "counts.completion")
            said = Rating(about.prompt_id, about.id, grade, max(form.grades.values()), form.criterion)
            yield Statement(annotator, form.kind, said, count)
    choices = form.choices if isinstance(form.choices, Mapping) else {name: name for name in form.choices}
    for name, text in choices.items():
        if count := _votes(name, fields):
            chosen = _by_text(text, name, shown_to)
            yield Statement(annotator, form.kind, _first_of(chosen, shown_to, form.criterion), count)


def _votes(name: str, fields: Mapping[str, Any]) -> int:
    value = number(value_of(fields, name), name)
    if not (value.is_integer() and value >= 0):
        raise RecordError(name, f"{value:g} is no number of votes; votes are 0, 1, 2 and so on")
    return int(value)
