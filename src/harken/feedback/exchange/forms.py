"""What a record says of its completions: grades, comparisons, choices, rankings, edits, a crowd's counted votes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from harken.feedback.exchange.said import (
    ChoiceOf,
    ComparisonOf,
    CountsOf,
    EditOf,
    Form,
    RankingOf,
    RatingOf,
    Said,
    fields_of,
    grades,
)
from harken.feedback.exchange.templates import (
    MISSING,
    RecordError,
    fill,
    fill_value,
    find,
    number,
    shown,
    value_of,
    written,
)
from harken.types import AnnotatorKind, Comparison, Completion, Edit, Feedback, Ranking, Rating

LIST = "@list"
"""Where the list of several fields' ranks is kept."""


@dataclass(frozen=True)
class Statement:
    """What an annotator said, not yet in its envelope; `field` is where it stood."""

    annotator: str
    kind: AnnotatorKind
    feedback: Feedback
    field: str
    count: int = 1
    seconds: float | None = None


@dataclass(frozen=True)
class Voice:
    """One value of one annotator.

    Attributes:
        value: what was said.
        annotator: who said it.
        place: where it stands, for errors.
        order: its place among all values of the form.
        field: the field that the mapping names.
        seconds: how long it took, if known.
    """

    value: Any
    annotator: str
    place: str
    order: int
    field: str
    seconds: float | None


def statements(form: Form, fields: Mapping[str, Any], shown_to: Sequence[Completion]) -> Iterator[Statement]:
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
    for voice in _voices(form, fields):
        said = _feedback(form, voice, shown_to)
        yield Statement(voice.annotator, form.kind, said, voice.field, seconds=voice.seconds)


def _feedback(form: Said, voice: Voice, shown_to: Sequence[Completion]) -> Feedback:
    match form:
        case RatingOf():
            return _rating(form, voice, shown_to)
        case ComparisonOf():
            return _comparison(form, voice, shown_to)
        case ChoiceOf():
            return _choice(form, voice, shown_to)
        case RankingOf():
            return _ranking(form, voice, shown_to)
        case EditOf():
            about = _one(shown_to, form.completion, "edit.completion")
            return Edit(about.prompt_id, about.id, written(voice.value, voice.place).strip())
        case _:
            raise AssertionError(form)


def _voices(form: Said, fields: Mapping[str, Any]) -> Iterator[Voice]:
    """Every value of the form's fields, with the annotator whose it is."""
    if isinstance(form, ComparisonOf) and form.choice is not None:
        yield Voice(form.choice, fill(form.annotator, fields), "choice", 0, "choice", _seconds(form, fields))
        return
    names = fields_of(form)
    if isinstance(form, RankingOf) and len(names) > 1:
        # Columns of ranks are one annotator's list.
        fields = {**fields, LIST: [_value(form, fields, name) for name in names]}
        names = (LIST,)
    order = 0
    for name in names:
        for key, item, value in _items(form, fields, name):
            place = f"{name}.{key}" if key else name
            if _blank(value) or (isinstance(form, RankingOf) and isinstance(value, list) and all(map(_blank, value))):
                if not form.blanks:
                    raise RecordError(place, "empty; write a value, or `blanks: true` where that means no answer")
            else:
                about = {"@field": name, "@item": item, **({"@index": key, "@key": key} if key else {})}
                known = {**fields, **about}
                yield Voice(value, fill(form.annotator, known), place, order, name, _seconds(form, known))
            order += 1


def _items(form: Said, fields: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any, Any]]:
    """Key, item and value of each annotator's part of a field; one without a key where the field is not divided."""
    head, star, rest = name.partition(".*")
    held = _value(form, fields, head)
    divided = star or isinstance(held, Mapping) or (isinstance(held, list) and not isinstance(form, RankingOf))
    if isinstance(form, RankingOf) and isinstance(held, list) and not star:
        divided = form.by == "rank" and any(isinstance(item, list) for item in held)
    if held is MISSING or not divided:
        yield "", held, held
        return
    if not isinstance(held, list | Mapping):
        raise RecordError(head, f"a list or an object is wanted, for the * in {name}, not {shown(held)}")
    for key, item in held.items() if isinstance(held, Mapping) else enumerate(held):
        yield str(key), item, find({"item": item}, f"item{rest}")


def _blank(value: Any) -> bool:
    return value is MISSING or value is None or (isinstance(value, str) and not value.strip())


def _value(form: Said, fields: Mapping[str, Any], name: str) -> Any:
    return find(fields, name) if form.blanks else value_of(fields, name)


def _seconds(form: Said, fields: Mapping[str, Any]) -> float | None:
    if form.seconds is None:
        return None
    value = fill_value(form.seconds, fields)
    if _blank(value):
        return None
    taken = number(value, "seconds")
    if taken < 0:
        raise RecordError("seconds", f"{taken:g}; nobody answers before being asked")
    return taken


def _one(shown_to: Sequence[Completion], number_: int, what: str) -> Completion:
    if not 0 <= number_ < len(shown_to):
        raise RecordError(what, f"there is no completion {number_}; the record has {len(shown_to)}, counted from 0")
    return shown_to[number_]


def _rating(form: RatingOf, voice: Voice, shown_to: Sequence[Completion]) -> Rating:
    value = number(voice.value, voice.place)
    if not min(form.low, form.high) <= value <= max(form.low, form.high):
        raise RecordError(
            voice.place,
            f"{shown(voice.value)} is not on the scale from {form.low:g} to {form.high:g}; correct the value, or low "
            "and high in the mapping",
        )
    levels = grades(form)
    # Halves go to the even step, as IEEE 754 has it: always up would make graders kinder.
    score = 1 + round((value - form.low) * (levels - 1) / (form.high - form.low))
    about = _one(shown_to, voice.order if form.per == "completion" else form.completion, voice.place)
    return Rating(about.prompt_id, about.id, score, levels, form.criterion)


def _comparison(form: ComparisonOf, voice: Voice, shown_to: Sequence[Completion]) -> Comparison:
    choice = form.choice
    if choice is None:
        table = {written(key, voice.place): said for key, said in form.choices.items()}
        value = written(voice.value, voice.place)
        if value not in table:
            raise RecordError(voice.place, f"{value!r} is no choice; the mapping's choices are {', '.join(table)}")
        choice = table[value]
    a, b = _one(shown_to, form.a, "comparison.a"), _one(shown_to, form.b, "comparison.b")
    return Comparison(a.prompt_id, a.id, b.id, choice, form.criterion)


def _choice(form: ChoiceOf, voice: Voice, shown_to: Sequence[Completion]) -> Ranking:
    chosen = _named(form, voice.value, voice.place, shown_to)
    return _first_of(chosen, shown_to, form.criterion)


def _named(form: ChoiceOf | RankingOf, value: Any, place: str, shown_to: Sequence[Completion]) -> Completion:
    """The completion that a value names, by its text or its number."""
    if form.by == "text":
        return _by_text(written(value, place), place, shown_to)
    counted = number(value, place)
    if not counted.is_integer():
        raise RecordError(place, f"{shown(value)} is no whole number")
    return _one(shown_to, int(counted) - form.first, place)


def _ranking(form: RankingOf, voice: Voice, shown_to: Sequence[Completion]) -> Ranking:
    if not isinstance(voice.value, list):
        raise RecordError(voice.place, f"a list is wanted, best first or a rank each, not {shown(voice.value)}")
    if form.by == "rank":
        tiers = _by_rank(form, voice, shown_to)
    else:
        steps = [step if isinstance(step, list) else [step] for step in voice.value]
        tiers = [tuple(_named(form, value, voice.place, shown_to).id for value in step) for step in steps]
    placed = {name for tier in tiers for name in tier}
    rest = tuple(completion.id for completion in shown_to if completion.id not in placed)
    return Ranking(shown_to[0].prompt_id, tuple(tiers), rest, form.criterion)


def _by_rank(form: RankingOf, voice: Voice, shown_to: Sequence[Completion]) -> list[tuple[str, ...]]:
    if len(voice.value) != len(shown_to):
        raise RecordError(
            voice.place, f"{len(voice.value)} ranks of {len(shown_to)} completions; write one each, null for none"
        )
    ranks: dict[float, list[str]] = {}
    for rank, completion in zip(voice.value, shown_to, strict=True):
        if not _blank(rank):
            ranks.setdefault(number(rank, voice.place), []).append(completion.id)
        elif not form.blanks:
            raise RecordError(voice.place, "a rank is empty; write it, or `blanks: true` where that means not ranked")
    return [tuple(ranks[rank]) for rank in sorted(ranks)]


def _by_text(text: str, field: str, shown_to: Sequence[Completion]) -> Completion:
    found = [completion for completion in shown_to if completion.text == text.strip()]
    if not found:
        texts = [completion.text for completion in shown_to]
        near = get_close_matches(text, texts, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(texts)[:300]}"
        raise RecordError(field, f"{shown(text)} is none of the completions; {hint}")
    if len(found) > 1:
        raise RecordError(field, f"{shown(text)} is the text of {len(found)} completions; choose by number")
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
            yield Statement(annotator, form.kind, said, name, count)
    choices = form.choices if isinstance(form.choices, Mapping) else {name: name for name in form.choices}
    for name, text in choices.items():
        if count := _votes(name, fields):
            chosen = _by_text(text, name, shown_to)
            yield Statement(annotator, form.kind, _first_of(chosen, shown_to, form.criterion), name, count)


def _votes(name: str, fields: Mapping[str, Any]) -> int:
    value = number(value_of(fields, name), name)
    if not (value.is_integer() and value >= 0):
        raise RecordError(name, f"{value:g} is no number of votes; votes are 0, 1, 2 and so on")
    return int(value)
