"""Recordings that experts graded: a folder's `*.jsonl` and `*.zip` as prompts, completions and answers."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harken.data.blobs import Blobs
from harken.types import Answer, Audio, Completion, Message, Prompt, Rating, Text

CRITERIA = ("fluency", "prosodic", "accuracy", "total")
LEVELS = 11


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
    """Read a folder; records whose recording or whose five grades are missing are passed over.

    Raises:
        FileNotFoundError: if there is nothing in it.
    """
    zips = [zipfile.ZipFile(path) for path in sorted(folder.glob("*.zip"))]
    member = {Path(name).stem: (opened, name) for opened in zips for name in opened.namelist()}
    prompts: dict[str, Prompt] = {}
    out = Recordings(prompts, {}, [], {}, [])
    rows: list[dict] = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["id"] in prompts or record["id"] not in member or len(record["fluency"]) != 5:
                continue
            opened, name = member[record["id"]]
            said = Audio(blobs.put(opened.read(name), "audio"))
            identity = record["id"]
            parts = (said, Text(record["text"]))
            prompts[identity] = Prompt(identity, (Message("user", parts),), facts={"speaker": record["speaker"]})
            out.completions[identity] = Completion(identity, identity, record["text"], "speaker")
            out.speakers.append(record["speaker"])
            rows.append(record)
            for criterion in CRITERIA:
                for expert, grade in enumerate(record[criterion]):
                    graded = Rating(identity, identity, round(grade) + 1, LEVELS, criterion)
                    out.answers.append(Answer(f"{identity} {criterion} {expert}", f"expert{expert}", "human", graded))
    if not rows:
        raise FileNotFoundError(f"{folder} has no recordings: *.jsonl beside *.zip are needed")
    out.grades.update({c: np.array([row[c] for row in rows], dtype=np.float64) for c in CRITERIA})
    return out
