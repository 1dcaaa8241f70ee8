"""The part of a mapping that says what was said: each form that answers come in, as a dataclass."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harken.types import AnnotatorKind, Choice


class MappingError(ValueError):
    """A mapping cannot be found or read."""


@dataclass(frozen=True)
class Said:
    """Who said something, and where it stands. A list in the field is one value of each annotator, an object likewise.

    Attributes:
        annotator: template of who said it, below the mapping's name. `{@index}` is the place in a list, `{@key}` the
            key in an object, `{@field}` the field's name, `{@item.who}` a field of the item that a `*` stands for.
        field: the path of the field, or of several; `*` in it stands for every item of a list or object.
        criterion: what was judged.
        kind: `human`, `simulated` or `model`.
        blanks: values that are missing, null or empty mean that nobody answered; otherwise they are errors.
        seconds: template of how long the annotator took.
    """

    annotator: str
    field: str | tuple[str, ...] = ()
    criterion: str = "overall"
    kind: AnnotatorKind = "human"
    blanks: bool = False
    seconds: str | None = None


@dataclass(frozen=True)
class RatingOf(Said):
    """Grades. `low` becomes 1 and `high` becomes `levels`; what is between two grades goes to the nearest.

    Attributes:
        low: the scale's worst value.
        high: the scale's best value (it may be the smaller number).
        levels: how many grades; one for each whole number if not said.
        completion: which completion is graded, from 0.
        per: whether the items of a list are of several annotators, or grades of the completions in order.
    """

    low: float = 1
    high: float = 5
    levels: int | None = None
    completion: int = 0
    per: Literal["annotator", "completion"] = "annotator"


@dataclass(frozen=True)
class ComparisonOf(Said):
    """Which of two completions is better.

    Attributes:
        choices: by the field's value: a, b, tie or both_bad.
        choice: what all records say, where no field does (a set of chosen and rejected texts).
        a: which completion is a, from 0.
        b: which completion is b.
    """

    choices: Mapping[Any, Choice] = field(default_factory=dict)
    choice: Choice | None = None
    a: int = 0
    b: int = 1


@dataclass(frozen=True)
class ChoiceOf(Said):
    """One of all completions was chosen.

    Attributes:
        by: whether the field holds the completion's text or its number.
        first: the number of the first completion.
    """

    by: Literal["text", "number"] = "text"
    first: int = 0


@dataclass(frozen=True)
class RankingOf(Said):
    """Completions in order, in one list of one annotator; an object of lists holds one of each annotator.

    Attributes:
        by: what the list holds: the completions' texts or numbers, best first (a list in it is a tie, those not named
            come last), or the rank of each completion in order (1 is best, equal ranks are a tie). Several fields are
            such a list, too.
        first: the number of the first completion.
    """

    by: Literal["text", "number", "rank"] = "text"
    first: int = 0


@dataclass(frozen=True)
class EditOf(Said):
    """The text that an annotator puts in a completion's place.

    Attributes:
        completion: which one, from 0.
    """

    completion: int = 0


@dataclass(frozen=True)
class CountsOf:
    """How many people of an anonymous crowd said what.

    Attributes:
        annotator: template of the crowd's name.
        grades: grade by field that counts it, from 1 (worst); gives ratings.
        choices: completion's text by field that counts it, or the fields alone where they are the texts; gives choices.
        completion: which completion `grades` are of, from 0.
        criterion: what was judged.
        kind: `human`, `simulated` or `model`.
    """

    annotator: str
    grades: Mapping[str, int] = field(default_factory=dict)
    choices: Mapping[str, str] | tuple[str, ...] = ()
    completion: int = 0
    criterion: str = "overall"
    kind: AnnotatorKind = "human"


Form = RatingOf | ComparisonOf | ChoiceOf | RankingOf | EditOf | CountsOf
FORMS = ("rating", "comparison", "choice", "ranking", "edit", "counts")


@dataclass(frozen=True)
class AnswerOf:
    """What was said, in one of six forms.

    Attributes:
        rating: grades.
        comparison: which of two is better.
        choice: which of all was chosen.
        ranking: all in order.
        edit: what should be there instead.
        counts: numbers of votes.
    """

    rating: RatingOf | None = None
    comparison: ComparisonOf | None = None
    choice: ChoiceOf | None = None
    ranking: RankingOf | None = None
    edit: EditOf | None = None
    counts: CountsOf | None = None

    @property
    def form(self) -> Form:
        """The one that is given."""
        return next(given for name in FORMS if (given := getattr(self, name)) is not None)


def fields_of(form: Said) -> tuple[str, ...]:
    """The fields that a form reads."""
    return (form.field,) if isinstance(form.field, str) else form.field


def grades(form: RatingOf) -> int:
    """How many grades a scale has."""
    return form.levels if form.levels is not None else round(abs(form.high - form.low)) + 1


def check_form(form: Form, where: str) -> None:
    """Refuse a form that contradicts itself.

    Raises:
        MappingError: saying where.
    """
    match form:
        case CountsOf():
            if bool(form.grades) == bool(form.choices):
                raise MappingError(f"{where}.counts: give either grades or choices")
            if form.grades and (min(form.grades.values()) < 1 or max(form.grades.values()) < 2):
                raise MappingError(f"{where}.counts.grades: grades are 1, 2 and so on; at least two")
        case ComparisonOf():
            if bool(form.choices) == (form.choice is not None):
                raise MappingError(f"{where}.comparison: give either choices, by the field's value, or one choice")
            if bool(form.choices) != bool(form.field):
                raise MappingError(f"{where}.comparison: a field needs choices, and choices need a field")
            if form.a == form.b:
                raise MappingError(f"{where}.comparison: a and b are both completion {form.a}; name two")
        case _:
            if not form.field:
                raise MappingError(f"{where}: name the field that holds what was said")
            if isinstance(form, RatingOf) and (form.low == form.high or grades(form) < 2):
                raise MappingError(f"{where}.rating: low and high must differ, and levels be 2 or more")
