"""Label Studio's JSON of tasks and annotations: a task a question, an annotation an answer.

Written: `data` with prompt (text), images, audios and numbers (data URIs), and a and b, or completion, or items;
results of type pairwise (left, right), choices (tie, both_bad), rating, ranker (buckets 1, 2, ... and rest) and
textarea. A labelling configuration for it stands in docs/exchange.md. What Label Studio has no place for lies in
`data.harken` and in `meta.harken` of each result, and comes back with its export; annotations that people add there are
read as new answers to the same completions. `completed_by` is left out, since Label Studio refuses ids that it does not
know.

Held: everything that an answer is. Not held, and counted: prompts without answers, completions that nobody spoke of.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harken.data.blobs import Blobs
from harken.data.media.limits import MediaError
from harken.feedback.exchange.foreign import Foreign
from harken.feedback.exchange.jsonfile import JsonOut, read_json
from harken.feedback.exchange.parcel import (
    FIELD,
    Parcel,
    Tally,
    answer_from_json,
    from_json,
    refuse_changed,
    to_json,
)
from harken.feedback.exchange.questions import Question, question_by_question
from harken.feedback.exchange.tables import DataError
from harken.feedback.exchange.tasks import MEDIA, Task, foreign_task, said_by
from harken.feedback.exchange.turns import as_text, data_uri, media
from harken.feedback.intake import answer_record
from harken.feedback.store import FeedbackStore
from harken.types import Answer, Comparison, Edit, Feedback, Modality, Ranking, Rating

SUFFIXES = (".json",)
SIDES = {"a": "left", "b": "right"}


def write(store: FeedbackStore, blobs: Blobs, out: BinaryIO, suffix: str = ".json") -> Tally:
    """Write all answers, question by question.

    Raises:
        MediaError: if a medium is not there.
    """
    tally = Tally()
    with JsonOut(out, lines=False) as records:
        for question, given in question_by_question(store.stream(), tally):
            annotations = [_annotation(answer) for answer in question.answers]
            records.add({"data": _data(given, question, blobs), "annotations": annotations})
    return tally


def read(file: Path, blobs: Blobs, levels: int = 5) -> Iterator[Parcel]:
    """Read tasks, harken's own and those of other projects.

    Of others the names of the tags must be the names of the fields in `data`, as Label Studio's templates have them.

    Args:
        file: the export, JSON.
        blobs: take the media.
        levels: of the scales of ratings, which an export does not tell.

    Raises:
        DataError: what is wrong, and in which task.
    """
    foreign = Foreign("label_studio", file, blobs, levels)
    for place, row in read_json(file):
        data = row.get("data")
        if not isinstance(data, Mapping):
            raise DataError(f"{place}: no 'data'; export the project as JSON (not JSON_MIN)")
        annotations = row.get("annotations", [])
        if not isinstance(annotations, list) or not all(isinstance(one, Mapping) for one in annotations):
            raise DataError(f"{place}: 'annotations' is no list of objects; export the project as JSON (not JSON_MIN)")
        own = isinstance(data.get(FIELD), Mapping)
        task = _own_task(data, place, foreign) if own else foreign_task(data, annotations, place, foreign)
        yield _answers(task, annotations, place, foreign)


def _answers(task: Task, annotations: list[Mapping[str, Any]], place: str, foreign: Foreign) -> Parcel:
    answers: list[Answer] = []
    skipped: list[str] = []
    for number, annotation in enumerate(annotations, start=1):
        at = f"{place}, annotation {number}"
        if annotation.get("was_cancelled"):
            skipped.append(f"{at}: cancelled")
            continue
        results = annotation.get("result")
        if not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
            raise DataError(f"{at}: 'result' is no list of objects; export the project as JSON (not JSON_MIN)")
        if not results:
            skipped.append(f"{at}: empty")
        for result in results:
            meta = result.get("meta")
            if isinstance(meta, Mapping) and FIELD in meta:
                answers.append(_own_answer(result, at))
                continue
            said = said_by(result, task, at)
            if isinstance(said, str):
                skipped.append(f"{at}: {said}")
                continue
            who, seconds = _annotator(annotation), annotation.get("lead_time")
            answers.append(foreign.answer(said, task.by_id, at, who, seconds=seconds))
    return Parcel(task.prompts, tuple(task.by_id.values()), tuple(answers), tuple(skipped))


def _annotator(annotation: Mapping[str, Any]) -> Any:
    by = annotation.get("completed_by")
    if isinstance(by, Mapping):
        by = by.get("email") or by.get("id")
    return by if by is not None else annotation.get("created_username")


def _data(given: Parcel, question: Question, blobs: Blobs) -> dict[str, Any]:
    texts = [given.by_id[name].text for name in question.shown]
    shown: dict[str, Any]
    match question.kind:
        case "comparison":
            shown = {"a": texts[0], "b": texts[1]}
        case "ranking":
            shown = {
                "items": [
                    {"id": name, "title": "", "body": text} for name, text in zip(question.shown, texts, strict=True)
                ]
            }
        case _:
            shown = {"completion": texts[0]}
    own = {
        "kind": question.kind,
        "shown": list(question.shown),
        "criterion": question.criterion,
        "levels": question.levels,
        "about": to_json(Parcel(given.prompts, given.completions)),
    }
    return {
        "prompt": "\n\n".join(as_text(prompt) for prompt in given.prompts),
        **{column: _uris(given, modality, blobs) for modality, (*_, column) in MEDIA if _has(given, modality)},
        **shown,
        FIELD: own,
    }


def _has(given: Parcel, modality: Modality) -> bool:
    """Whether a task has a column of a modality: those of pictures and sounds are there empty, too."""
    return modality != "numbers" or any(media(prompt, modality) for prompt in given.prompts)


def _uris(given: Parcel, modality: Modality, blobs: Blobs) -> list[str]:
    return [data_uri(blobs, one, modality) for prompt in given.prompts for one in media(prompt, modality)]


def _annotation(answer: Answer) -> dict[str, Any]:
    result = {**_result(answer.feedback), "meta": {FIELD: answer_record(answer)}}
    return {"result": [result], "lead_time": answer.seconds, "was_cancelled": False, "ground_truth": False}


def _result(said: Feedback) -> dict[str, Any]:
    match said:
        case Comparison(choice="a" | "b" as choice):
            return _typed("comparison", "a,b", "pairwise", {"selected": SIDES[choice]})
        case Comparison(choice=choice):
            return _typed("comparison", "a", "choices", {"choices": [choice]})
        case Rating(score=score):
            return _typed("rating", "completion", "rating", {"rating": score})
        case Ranking(tiers=tiers, rest=rest):
            buckets = {str(i): list(tier) for i, tier in enumerate(tiers, start=1)} | {"rest": list(rest)}
            return _typed("ranking", "items", "ranker", {"ranker": buckets})
        case Edit(revision=revision):
            return _typed("edit", "completion", "textarea", {"text": [revision]})


def _typed(from_name: str, to_name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": from_name, "to_name": to_name, "type": kind, "value": value}


def _own_task(data: Mapping[str, Any], place: str, foreign: Foreign) -> Task:
    own = data[FIELD]
    given = from_json(own.get("about"), place)
    try:
        question = Question(own["kind"], tuple(own["shown"]), own["criterion"], own["levels"], ())
        # Media that came in other bytes than they went are other media, and the comparison below says so.
        reader = foreign.reader(place)
        for modality, columns in MEDIA:
            for uri in data.get(columns[-1], []):
                reader.put(uri, modality)
        refuse_changed(data, _data(given, question, foreign.blobs), place)
    except (MediaError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{place}: data.{FIELD} is not as harken wrote it ({error!r}); take it out") from error
    names = {"comparison": ("a", "b"), "ranking": question.shown}.get(question.kind, ("completion",))
    named = {name: given.by_id[id_] for name, id_ in zip(names, question.shown, strict=True)}
    levels = question.levels or foreign.levels
    return Task(given.prompts, named, question.criterion or "overall", levels, question.kind)


def _own_answer(result: Mapping[str, Any], at: str) -> Answer:
    try:
        answer = answer_from_json(result["meta"][FIELD])
    except (ValueError, RecursionError) as error:
        raise DataError(f"{at}: meta.{FIELD} is not as harken wrote it ({error}); take it out") from error
    # `lead_time` is not compared: Label Studio counts on when somebody opens the annotation again.
    refuse_changed(result, _result(answer.feedback), at)
    return answer
