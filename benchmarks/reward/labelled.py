"""Pictures and sounds that people named: prompts, completions (one a name) and people's choices among them."""

import csv
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harken.data.blobs import Blobs
from harken.types import Answer, Audio, Completion, Image, Message, Prompt, Ranking, Text

CLEAR = 2 / 3
"""A medium whose most frequent name has more than this share of its people's choices is clearly named."""


@dataclass(frozen=True)
class Labelled:
    """Media that people named, of which each is asked about by itself.

    Attributes:
        names: what was chosen among.
        prompts: each a medium and a question, by id.
        completions: one a name for each prompt, by id (`PROMPT NAME`).
        answers: what people chose.
        said: the name that people clearly gave to a medium, by the prompt's id; none where they differ.
        parts: of each prompt, the part of the data that it lies in, by id.
    """

    names: tuple[str, ...]
    prompts: dict[str, Prompt]
    completions: dict[str, Completion]
    answers: list[Answer]
    said: dict[str, str]
    parts: dict[str, str]

    def learnt(self, out: str) -> "Labelled":
        """All but one part."""
        kept = {name: prompt for name, prompt in self.prompts.items() if self.parts[name] != out}
        return Labelled(
            self.names,
            kept,
            {c.id: c for c in self.completions.values() if c.prompt_id in kept},
            [answer for answer in self.answers if answer.feedback.prompt_id in kept],
            self.said,
            self.parts,
        )


def completion_id(prompt: str, name: str) -> str:
    """The id of a name as an answer to a prompt."""
    return f"{prompt} {name}"


def _labelled(
    names: Sequence[str],
    media: Mapping[str, Image | Audio],
    question: str,
    choices: Mapping[str, Sequence[tuple[str, str]]],
    parts: Mapping[str, str],
) -> Labelled:
    """Of media by id, and for each who chose which name."""
    prompts, completions, answers, said = {}, {}, [], {}
    for key, medium in media.items():
        prompts[key] = Prompt(key, (Message("user", (medium, Text(question))),))
        for name in names:
            made = Completion(completion_id(key, name), key, name, "label")
            completions[made.id] = made
        counted = Counter(choices[key])
        for (who, chosen), count in counted.items():
            best = completion_id(key, chosen)
            rest = tuple(completion_id(key, name) for name in names if name != chosen)
            told = Ranking(key, ((best,),), rest)
            answers.append(Answer(f"{key} {who} {chosen}", who, "human", told, count=count))
        votes = Counter(name for _, name in choices[key])
        name, most = votes.most_common(1)[0]
        if most / votes.total() > CLEAR:
            said[key] = name
    return Labelled(tuple(names), prompts, completions, answers, said, dict(parts))


def read_pictures(folder: Path, blobs: Blobs, learnt: int, judged: int, seed: int = 0) -> Labelled:
    """CIFAR-10's training pictures with the names that three people gave each (parts: `learnt`, `judged`).

    Args:
        folder: has `cifar10/train.npz`, `cifar10/classes.json` and `cifar_human/cifar10n_labels.npz`.
        blobs: where pictures are put.
        learnt: how many are learnt from.
        judged: how many others are judged.
        seed: which.
    """
    names = json.loads((folder / "cifar10" / "classes.json").read_text())
    with np.load(folder / "cifar10" / "train.npz") as found:
        data, offsets = found["data"], found["offsets"]
    with np.load(folder / "cifar_human" / "cifar10n_labels.npz") as found:
        labels = np.stack([found[f"random_label{n}"] for n in (1, 2, 3)], 1)
    rows = np.random.default_rng(seed).permutation(len(labels))[: learnt + judged]
    media, choices, parts = {}, {}, {}
    for place, row in enumerate(rows.tolist()):
        key = f"picture{row}"
        media[key] = Image(blobs.put(data[offsets[row] : offsets[row + 1]].tobytes(), "image"))
        # Who the three are is not told: they change from picture to picture.
        choices[key] = [("crowd", names[label]) for label in labels[row]]
        parts[key] = "learnt" if place < learnt else "judged"
    return _labelled(names, media, "What does this picture show?", choices, parts)


def read_sounds(folder: Path, blobs: Blobs) -> Labelled:
    """ESC-10's clips that people named (parts: its folds), each annotator by number.

    Args:
        folder: has `esc10` with `*.zip`, `manifest.csv` and `human_judgements*.csv`.
        blobs: where sounds are put.
    """
    where = folder / "esc10"
    zips = [zipfile.ZipFile(path) for path in sorted(where.glob("*.zip"))]
    member = {Path(name).stem: (opened, name) for opened in zips for name in opened.namelist()}
    with (where / "manifest.csv").open() as lines:
        folds = {Path(row["file"]).stem: row["fold"] for row in csv.DictReader(lines)}
    choices: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(where.glob("human_judgements*.csv")):
        with path.open() as lines:
            for row in csv.DictReader(lines):
                clip = Path(row["clip"]).stem
                if clip in member and clip in folds:
                    choices.setdefault(clip, []).append((f"worker{row['worker']}", row["chosen"]))
    media = {}
    for clip in sorted(choices):
        opened, name = member[clip]
        media[clip] = Audio(blobs.put(opened.read(name), "audio"))
    names = sorted({name for chosen in choices.values() for _, name in chosen})
    return _labelled(names, media, "What is heard?", choices, {clip: folds[clip] for clip in media})
