"""Tasks for labelling that another project made: which of their fields is the prompt, and what results say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harken.feedback.exchange.foreign import Foreign
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.templates import shown
from harken.feedback.exchange.turns import Reader
from harken.types import MEDIA as PARTS
from harken.types import (
    Choice,
    Comparison,
    Completion,
    Edit,
    Feedback,
    Message,
    Modality,
    Part,
    Prompt,
    Ranking,
    Rating,
    Text,
)

PROMPTS = ("prompt", "question", "instruction", "input", "text")
MEDIA: tuple[tuple[Modality, tuple[str, ...]], ...] = (
    ("image", ("image", "images")),
    ("audio", ("audio", "audios")),
    ("numbers", ("numbers",)),
)
"""Fields that hold media, of each the name under which harken writes it last."""
SELECTED: dict[str, Choice] = {"left": "a", "right": "b"}
EQUAL: dict[str, Choice] = {"tie": "tie", "both_bad": "both_bad"}


@dataclass(frozen=True)
class Task:
    """A question of a labelling tool.

    Attributes:
        prompts: what it is about; mostly one.
        named: its completions by the names of their fields.
        criterion: what is judged.
        levels: of ratings' scales.
        kind: of feedback that is asked for, if it is known.
    """

    prompts: tuple[Prompt, ...]
    named: Mapping[str, Completion]
    criterion: str = "overall"
    levels: int = 5
    kind: str = ""

    @property
    def by_id(self) -> dict[str, Completion]:
        """Its completions by id."""
        return {completion.id: completion for completion in self.named.values()}

    def completion(self, name: str, at: str) -> Completion:
        """The completion of a field.

        Raises:
            DataError: if there is none.
        """
        if name not in self.named:
            raise DataError(
                f"{at}: it speaks of {name!r}, which is no completion of the task's data ({', '.join(self.named)}); "
                "tags must be named as the fields that they show"
            )
        return self.named[name]


def prompt_of(data: Mapping[str, Any], reader: Reader, foreign: Foreign) -> tuple[Prompt, str]:
    """The prompt of a task's fields, and the name of the field that holds its text.

    Raises:
        DataError: if there is none.
    """
    name = next((name for name in PROMPTS if isinstance(data.get(name), str) and data[name].strip()), None)
    if name is None:
        raise DataError(f"{reader.place}: no prompt in the data; name its field one of {', '.join(PROMPTS)}")
    parts: list[Part] = []
    for modality, columns in MEDIA:
        for value in (data[column] for column in columns if data.get(column)):
            for one in value if isinstance(value, list) else [value]:
                if not isinstance(one, str):
                    raise DataError(f"{reader.place}: {modality}: {shown(one)} is no name of a file")
                sha256 = reader.put(one, modality)
                parts.append(PARTS[modality](sha256))
    return foreign.prompt([Message("user", (*parts, Text(data[name])))], reader.place), name


def foreign_task(
    data: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]], place: str, foreign: Foreign
) -> Task:
    """A task of Label Studio that harken did not write. Its completions are what the results speak of.

    Raises:
        DataError: if it has no prompt.
    """
    prompt, asked = prompt_of(data, foreign.reader(place), foreign)
    spoken: list[str] = []
    for annotation in annotations:
        for result in annotation.get("result") or ():
            if isinstance(result, Mapping) and isinstance(result.get("to_name"), str):
                spoken += result["to_name"].split(",")
    texts = {name: data[name] for name in spoken if isinstance(data.get(name), str) and name != asked}
    for value in data.values():
        if isinstance(value, list) and all(isinstance(one, Mapping) and "id" in one for one in value):
            texts |= {str(one["id"]): _body(one) for one in value}
    made = foreign.pair(prompt, list(texts.values()), [None] * len(texts), place)
    return Task((prompt,), dict(zip(texts, made, strict=True)), levels=foreign.levels)


def _body(item: Mapping[str, Any]) -> Any:
    return next((item[name] for name in ("body", "text", "html", "title") if item.get(name)), None)


def said_by(result: Mapping[str, Any], task: Task, at: str) -> Feedback | str:
    """What a result of Label Studio says; or why nothing that harken keeps.

    Raises:
        DataError: if it makes no sense.
    """
    value, to = result.get("value"), result.get("to_name")
    names = to.split(",") if isinstance(to, str) else []
    if not isinstance(value, Mapping):
        raise DataError(f"{at}: a result without a value; export the project as JSON (not JSON_MIN)")
    match result.get("type"):
        case "pairwise":
            return _pairwise(value, names, task, at)
        case "choices" if task.kind == "comparison":
            (choice,) = value["choices"] if len(value.get("choices") or ()) == 1 else ("",)
            if choice not in EQUAL:
                raise DataError(f"{at}: the choices are {shown(value.get('choices'))}; one of {', '.join(EQUAL)}")
            return _compared(task, "a", "b", EQUAL[choice], at)
        case "rating":
            return _rated(value, names, task, at)
        case "ranker":
            return _ranked(value.get("ranker"), task, at)
        case "textarea":
            return _edited(value.get("text"), names, task, at)
        case other:
            return f"a result of type {shown(other)}"


def _pairwise(value: Mapping[str, Any], names: list[str], task: Task, at: str) -> Comparison:
    selected = value.get("selected")
    if selected not in SELECTED or len(names) != 2:
        raise DataError(
            f"{at}: a pairwise result selects left or right of two named tags, not {shown(selected)} of {names}"
        )
    return _compared(task, names[0], names[1], SELECTED[selected], at)


def _compared(task: Task, a: str, b: str, choice: Choice, at: str) -> Comparison:
    one, other = task.completion(a, at), task.completion(b, at)
    across = other.prompt_id if other.prompt_id != one.prompt_id else None
    return Comparison(one.prompt_id, one.id, other.id, choice, task.criterion, across)


def _rated(value: Mapping[str, Any], names: list[str], task: Task, at: str) -> Rating:
    score = value.get("rating")
    if not isinstance(score, int) or isinstance(score, bool) or not 1 <= score <= task.levels:
        raise DataError(
            f"{at}: the rating is {shown(score)}, and the scale is from 1 to {task.levels}; say how many levels it has "
            "with --levels"
        )
    about = task.completion(names[0] if names else "", at)
    return Rating(about.prompt_id, about.id, score, task.levels, task.criterion)


def _ranked(value: Any, task: Task, at: str) -> Ranking:
    match value:
        case list():
            tiers, rest = [[name] for name in value], []
        case Mapping() if set(value) <= {"rank", "_"}:
            tiers, rest = [[name] for name in value.get("rank") or ()], list(value.get("_") or ())
        case Mapping() if all(name.isdecimal() or name in ("rest", "_") for name in value):
            numbers = sorted((name for name in value if name.isdecimal()), key=int)
            tiers = [list(value[name]) for name in numbers if value[name]]
            rest = [name for bucket in ("rest", "_") for name in value.get(bucket) or ()]
        case _:
            raise DataError(
                f"{at}: the ranking is {shown(value)}; harken reads a list, a bucket `rank`, or buckets named 1, 2, ..."
            )
    return ranking_of([[task.completion(str(one), at) for one in tier] for tier in tiers], rest, task, at)


def ranking_of(tiers: list[list[Completion]], rest: Sequence[Any], task: Task, at: str) -> Ranking:
    """A ranking of a task's completions; those in `rest` by their fields' names.

    Raises:
        DataError: if nothing is ranked.
    """
    if not tiers:
        raise DataError(f"{at}: nothing is ranked; leave the annotation out")
    below = tuple(task.completion(str(name), at).id for name in rest)
    return Ranking(tiers[0][0].prompt_id, tuple(tuple(one.id for one in tier) for tier in tiers), below, task.criterion)


def _edited(value: Any, names: list[str], task: Task, at: str) -> Edit | str:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{at}: the text is {shown(value)}; a list of one text is wanted")
    name = names[0] if names else ""
    if name not in task.named:
        return "a text about no completion: a comment"
    about = task.named[name]
    revision = "\n".join(texts)
    if not revision.strip() or revision == about.text:
        return "a text that changes nothing"
    return Edit(about.prompt_id, about.id, revision)
