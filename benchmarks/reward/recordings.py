"""Recordings that experts graded: a folder's `*.jsonl` and `*.zip`, read as `harken data import speechocean` does."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harken.data.blobs import Blobs
from harken.feedback.exchange.folder import Folder
from harken.feedback.exchange.mapping import find_mapping
from harken.feedback.exchange.media import MediaDoor
from harken.feedback.exchange.read import Reader, records
from harken.feedback.exchange.templates import RecordError
from harken.types import Answer, Audio, Completion, Message, Prompt, Rating, Text

CRITERIA = ("fluency", "prosodic", "accuracy", "total")
LEVELS, EXPERTS = 11, 5
MAPPING = "speechocean"


@dataclass(frozen=True)
class Recordings:
    """What lies in a folder.

    Attributes:
        prompts: each a sentence and its recording, by id.
        completions: one a prompt, by the prompt's id.
        answers: every expert's grade on every criterion, 0 to 10 as 11 levels.
        grades: by criterion the experts' own numbers, (N, 5), in the order of `prompts`.
        speakers: in the order of `prompts`.
    """

    prompts: dict[str, Prompt]
    completions: dict[str, Completion]
    answers: list[Answer]
    grades: dict[str, np.ndarray]
    speakers: list[str]


def read_recordings(folder: Path, blobs: Blobs) -> Recordings:
    """Read a folder; records whose recording or whose five grades are missing are passed over, and counted.

    Of records with one id the first stays.

    Raises:
        DataError: if there is nothing in it.
        FileNotFoundError: if there is nothing in it that can be used.
    """
    out = Recordings({}, {}, [], {}, [])
    refused: list[str] = []
    grades: dict[str, list[list[float]]] = {criterion: [] for criterion in CRITERIA}
    with Folder(folder) as opened:
        mapping = find_mapping(MAPPING)
        reader = Reader(mapping, MediaDoor(opened, blobs))
        for record in records(mapping, opened):
            identity = str(record.fields.get("id", ""))
            if identity in out.prompts:
                continue
            try:
                _refuse_fewer(record.fields)
                reader.take(record)
            except RecordError as error:
                refused.append(f"{record.place}: {error}")
                continue
            out.speakers.append(str(record.fields["speaker"]))
            _take(identity, reader.harvest.prompts[f"{mapping.name}/{identity}"], str(record.fields["text"]), out)
            for criterion in CRITERIA:
                grades[criterion].append(record.fields[criterion])
    if refused:
        print(f"{folder}: {len(refused)} records passed over; the first: {refused[0]}", file=sys.stderr)
    if not out.prompts:
        raise FileNotFoundError(f"{folder} has no recordings with five grades: *.jsonl beside *.zip are needed")
    out.answers.extend(_answers(mapping.name, list(reader.harvest.answers.values())))
    out.grades.update({criterion: np.array(rows, dtype=np.float64) for criterion, rows in grades.items()})
    return out


def _refuse_fewer(fields: dict) -> None:
    for criterion in CRITERIA:
        given = fields.get(criterion)
        if not isinstance(given, list) or len(given) != EXPERTS:
            raise RecordError(criterion, f"{EXPERTS} grades are needed")


def _take(identity: str, imported: Prompt, sentence: str, out: Recordings) -> None:
    """The recording and the sentence without the question: what is measured of speech depends on the words."""
    said = next(part for part in imported.messages[-1].parts if isinstance(part, Audio))
    facts = {"speaker": imported.facts["speaker"]}
    out.prompts[identity] = Prompt(identity, (Message("user", (said, Text(sentence))),), facts=facts)
    out.completions[identity] = Completion(identity, identity, sentence, "speaker")


def _answers(name: str, imported: list[Answer]) -> list[Answer]:
    """Grades by their ids here, recording by recording, in the order of `CRITERIA`."""
    by_prompt: dict[str, list[Answer]] = {}
    for answer in imported:
        identity = answer.feedback.prompt_id.removeprefix(f"{name}/")
        said = answer.feedback
        assert isinstance(said, Rating), "the mapping has ratings only"
        expert = answer.annotator.removeprefix(f"{name}/")
        key = f"{identity} {said.criterion} {expert.removeprefix('expert')}"
        graded = replace(said, prompt_id=identity, completion=identity)
        by_prompt.setdefault(identity, []).append(Answer(key, expert, answer.annotator_kind, graded))
    return [
        answer
        for several in by_prompt.values()
        for answer in sorted(several, key=lambda a: CRITERIA.index(a.feedback.criterion))
    ]
