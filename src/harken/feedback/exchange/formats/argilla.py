"""Argilla's records, as its `to_json` writes them: a record a question, a response an answer.

Fields: prompt, image_1 ..., audio_1 ... and numbers_1 ... (data URIs; Argilla shows pictures, and the others in a
custom field), a and b, or completion, or completion_1 ... . Responses: comparison (a, b, tie, both_bad), rating,
ranking (names of fields, best first) and edit, each with its value and the annotator as a UUID, which Argilla demands.
The rest lies in `metadata.harken`, as text, and comes back with Argilla's export; responses that people add there are
read as new answers to the same completions.

Held: everything that an answer is. Not held, and counted: prompts without answers, completions that nobody spoke of.
"""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harken.data.blobs import Blobs
from harken.feedback.exchange.foreign import Foreign, digest
from harken.feedback.exchange.jsonfile import JsonOut, read_json
from harken.feedback.exchange.parcel import (
    FIELD,
    Parcel,
    Tally,
    from_json,
    refuse_changed,
    to_text,
)
from harken.feedback.exchange.questions import Question, question_by_question, questions
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.tasks import EQUAL, MEDIA, Task, prompt_of, ranking_of
from harken.feedback.exchange.templates import shown
from harken.feedback.exchange.turns import as_text, data_uri, media
from harken.feedback.store import FeedbackStore
from harken.feedback.stream import Item
from harken.types import Answer, Choice, Comparison, Completion, Edit, Feedback, Ranking, Rating

SUFFIXES = (".json",)
STATUSES = ("submitted", None)


def write(store: FeedbackStore, blobs: Blobs, out: BinaryIO, suffix: str = ".json") -> Tally:
    """Write all answers, question by question.

    Raises:
        MediaError: if a medium is not there.
    """
    tally = Tally()
    with JsonOut(out, lines=False) as records:
        for question, given in question_by_question(store.stream(), tally):
            records.add(_record(given, question, blobs))
    return tally


def read(file: Path, blobs: Blobs, levels: int = 5) -> Iterator[Parcel]:
    """Read records, harken's own and those of other datasets.

    Of others, the prompt is the field prompt, question, instruction, input or text; the other texts are completions.
    A response that names one of two is a comparison, one that names several in order a ranking, a number a rating and
    another text an edit, both of the only completion.

    Args:
        file: what `dataset.records.to_json` wrote.
        blobs: take the media.
        levels: of the scales of ratings, which an export does not tell.

    Raises:
        DataError: what is wrong, and in which record.
    """
    foreign = Foreign("argilla", file, blobs, levels)
    for place, row in read_json(file):
        fields, responses = row.get("fields"), row.get("responses") or {}
        if not isinstance(fields, Mapping) or not isinstance(responses, Mapping):
            raise DataError(f"{place}: no 'fields' or no 'responses'; write the records with dataset.records.to_json")
        metadata = row.get("metadata")
        own = isinstance(metadata, Mapping) and FIELD in metadata
        task, held = _own_task(row, place, foreign) if own else (_foreign_task(fields, place, foreign), [])
        yield _answers(task, held, responses, place, foreign, row.get("suggestions") or {})


def _answers(
    task: Task,
    held: list[tuple[str, dict[str, Any], Answer]],
    responses: Mapping[str, Any],
    place: str,
    foreign: Foreign,
    suggestions: Mapping[str, Any],
) -> Parcel:
    waiting = list(held)
    answers = [answer for _, _, answer in held]
    skipped = [f"{place}: a suggestion for {name}" for name in suggestions]
    for name, several in responses.items():
        for number, response in enumerate(several if isinstance(several, list) else [several], start=1):
            at = f"{place}, response {number} to {name}"
            if not isinstance(response, Mapping) or "value" not in response:
                raise DataError(f"{at}: {shown(response)} has no value; write the records with to_json")
            same = next((one for one in waiting if one[0] == name and _same(one[1], response)), None)
            if same is not None:
                waiting.remove(same)
                continue
            said = _said(response["value"], task, at)
            if isinstance(said, str) or response.get("status") not in STATUSES:
                skipped.append(f"{at}: {said if isinstance(said, str) else response['status']}")
                continue
            answers.append(foreign.answer(said, task.by_id, at, response.get("user_id")))
    if waiting:
        refuse_changed({}, {f"responses.{waiting[0][0]}": waiting[0][1]}, place)
    return Parcel(task.prompts, tuple(task.by_id.values()), tuple(answers), tuple(skipped))


def _same(wrote: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(found.get(name) == value for name, value in wrote.items())


def _names(question: Question) -> tuple[str, ...]:
    match question.kind:
        case "comparison":
            return ("a", "b")
        case "ranking":
            return tuple(f"completion_{i}" for i in range(1, len(question.shown) + 1))
    return ("completion",)


def _record(given: Parcel, question: Question, blobs: Blobs) -> dict[str, Any]:
    texts = [given.by_id[name].text for name in question.shown]
    fields = {"prompt": "\n\n".join(as_text(prompt) for prompt in given.prompts)}
    for modality, _ in MEDIA:
        every = [one for prompt in given.prompts for one in media(prompt, modality)]
        fields |= {f"{modality}_{i}": data_uri(blobs, one, modality) for i, one in enumerate(every, start=1)}
    fields |= dict(zip(_names(question), texts, strict=True))
    return {
        "id": digest(question.kind, question.shown, question.criterion, question.levels),
        "fields": fields,
        "metadata": {FIELD: to_text(given)},
        "suggestions": {},
        "responses": {question.kind: [_response(answer, question) for answer in question.answers]},
        "vectors": {},
    }


def _response(answer: Answer, question: Question) -> dict[str, Any]:
    fields = dict(zip(question.shown, _names(question), strict=True))
    value: Any
    match answer.feedback:
        case Comparison(choice=choice):
            value = choice
        case Rating(score=score):
            value = score
        case Ranking(tiers=tiers, rest=rest):
            value = [fields[name] for tier in (*tiers, rest) for name in tier]
        case Edit(revision=revision):
            value = revision
    return {"value": value, "user_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"harken:{answer.annotator}"))}


def _own_task(
    row: Mapping[str, Any], place: str, foreign: Foreign
) -> tuple[Task, list[tuple[str, dict[str, Any], Answer]]]:
    given = from_json(row["metadata"][FIELD], place)
    reader = foreign.reader(place)
    for name, value in row["fields"].items():
        for modality, _ in MEDIA:
            if name.startswith(f"{modality}_") and isinstance(value, str):
                reader.put(value, modality)
    try:
        others = {one.id: (_of(given, one), one) for one in given.completions if one.prompt_id != given.prompts[0].id}
        (question,) = questions(Item(given.prompts[0], given.completions, given.answers, frozenset(), others))
        wrote = _record(given, question, foreign.blobs)
    except (ValueError, KeyError, IndexError, StopIteration) as error:
        raise DataError(f"{place}: metadata.{FIELD} is not as harken wrote it ({error!r}); take it out") from error
    refuse_changed(row, {"fields": wrote["fields"]}, place)
    named = {name: given.by_id[id_] for name, id_ in zip(_names(question), question.shown, strict=True)}
    levels = question.levels or foreign.levels
    task = Task(given.prompts, named, question.criterion or "overall", levels, question.kind)
    return task, [(question.kind, _response(answer, question), answer) for answer in question.answers]


def _of(given: Parcel, completion: Completion) -> Any:
    return next(prompt for prompt in given.prompts if prompt.id == completion.prompt_id)


def _foreign_task(fields: Mapping[str, Any], place: str, foreign: Foreign) -> Task:
    prompt, asked = prompt_of(fields, foreign.reader(place), foreign)
    shown_media = {name for _, names in MEDIA for name in names}
    texts = {n: v for n, v in fields.items() if n != asked and n not in shown_media and isinstance(v, str) and v}
    made = foreign.pair(prompt, list(texts.values()), [None] * len(texts), place)
    return Task((prompt,), dict(zip(texts, made, strict=True)), levels=foreign.levels)


def _said(value: Any, task: Task, at: str) -> Feedback | str:
    """What a response says, or why nothing that harken keeps."""
    match value:
        case str() if value in EQUAL and len(task.named) == 2:
            return _chosen(EQUAL[value], task)
        case str() if value in task.named:
            return _first(value, task)
        case list() if value:
            return _ranking(value, task, at)
        case _ if len(task.named) != 1:
            return f"{shown(value)} names none of {', '.join(task.named)}"
        case bool():
            return f"{shown(value)} is no rating"
        case int():
            return _rating(value, task, at)
        case str():
            (one,) = task.named.values()
            unchanged = not value.strip() or value == one.text
            return "a text that changes nothing" if unchanged else Edit(one.prompt_id, one.id, value)
        case _:
            return f"{shown(value)} is nothing that harken keeps"


def _first(value: str, task: Task) -> Feedback:
    """One of several is the best: a comparison of two, else a ranking with the others below."""
    if len(task.named) == 2:
        return _chosen("a" if value == next(iter(task.named)) else "b", task)
    rest = tuple(one.id for name, one in task.named.items() if name != value)
    return Ranking(task.named[value].prompt_id, ((task.named[value].id,),), rest, task.criterion)


def _chosen(choice: Choice, task: Task) -> Comparison:
    a, b = task.named.values()
    across = b.prompt_id if b.prompt_id != a.prompt_id else None
    return Comparison(a.prompt_id, a.id, b.id, choice, task.criterion, across)


def _rating(value: int, task: Task, at: str) -> Rating:
    (one,) = task.named.values()
    if not 1 <= value <= task.levels:
        raise DataError(
            f"{at}: {value} is not on a scale from 1 to {task.levels}; say how many levels it has with --levels"
        )
    return Rating(one.prompt_id, one.id, value, task.levels, task.criterion)


def _ranking(value: list[Any], task: Task, at: str) -> Ranking:
    ranks: dict[int, list[Completion]] = {}
    for place, one in enumerate(value, start=1):
        name, rank = (one.get("value"), one.get("rank")) if isinstance(one, Mapping) else (one, None)
        if not (rank is None or isinstance(rank, int)):
            raise DataError(f"{at}: the rank {shown(rank)} is no number")
        # Without ranks the order tells them.
        ranks.setdefault(place if rank is None else rank, []).append(task.completion(str(name), at))
    return ranking_of([ranks[rank] for rank in sorted(ranks)], (), task, at)
