"""Does a reward model see and hear? Media of real items are swapped, and scores must move as people's judgements do.

python -m benchmarks.reward.swaps --json FILE [--data FOLDER] [--only NAME,...]

Three sets of real items: pictures that people named (CIFAR-10 with three people's names a picture), sounds that people
named (ESC-10 with a crowd's), read sentences whose fluency five experts graded (speechocean). Two reward models: lines
on descriptors, and harken's own encoders trained from nothing on the same answers. All swaps are of media that were not
learnt from (other pictures, other folds, other speakers):

- named: with another medium in its place, a medium's own name must lose, and the other medium's name must gain.
- graded: with another speaker's recording in its place, the sentence kept, the score must move as the experts' mean
  grades do; of pairs whose means differ by more than half a grade.
- blank: with a grey picture, or silence as long as the clip was, in its place, a medium's own name must lose.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.reward.labelled import Labelled, completion_id, read_pictures, read_sounds
from benchmarks.reward.recordings import Recordings, read_recordings
from harken.data.blobs import Blobs
from harken.data.descriptors.speech import RATE, syllables
from harken.data.encoded import EncodedPrompts
from harken.data.media import audio, image
from harken.evaluate.metrics.exactness import exactness
from harken.models.fusion.build import FamilyConfig
from harken.pipeline.settings import RewardConfig
from harken.pipeline.verbs import Feedback, Workplace, train_reward_model
from harken.reward.combining import Summary
from harken.reward.described import DescribedConfig, Describer, train_described_reward
from harken.reward.linear import LinearConfig
from harken.reward.model import RewardModelConfig
from harken.train.optimizers import OptimizerConfig
from harken.types import Answer, Audio, Completion, Image, Prompt

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("HARKEN_DATA", ROOT.parent / "shared" / "data"))
HEADS, GAP, GREY = 4, 0.5, 116
Scoring = Callable[[Sequence[Completion], Mapping[str, Prompt]], Summary]


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        learnt: pictures that are learnt from.
        judged: pictures that are judged.
        steps: of the encoders' training.
        parts: folds of sounds and of speakers that are judged, at most.
    """

    learnt: int = 1000
    judged: int = 400
    steps: int = 600
    parts: int = 4


@dataclass(frozen=True)
class Said:
    """What one reward model learns from.

    Attributes:
        prompts: by id.
        completions: by id.
        answers: what people said.
        names: what was chosen among; empty where grades were given.
        criterion: of the answers.
    """

    prompts: Mapping[str, Prompt]
    completions: Mapping[str, Completion]
    answers: Sequence[Answer]
    names: tuple[str, ...] = ()
    criterion: str = "overall"


def described(said: Said, blobs: Blobs, size: Size, seed: int) -> Scoring:
    """Lines on descriptors."""
    describer = Describer(blobs, said.names, words=False)
    linear = LinearConfig() if said.names else LinearConfig(landmarks=1000)
    group = "" if said.names else "speaker"
    config = DescribedConfig(HEADS, criterion=said.criterion, linear=linear, group_by=group)
    made = train_described_reward(said.prompts, said.completions, said.answers, describer, config, seed)
    return lambda completions, prompts: made.summary(completions, prompts, describer)


FAMILY = FamilyConfig(
    encoders={
        "image": {"height": 32, "width": 32, "channels": 3, "hidden": 64, "pixel_mean": 0.45, "pixel_std": 0.25},
        "audio": {"hidden": 64},
    },
    heads={"answer": {"hidden": 64, "layers": 1, "heads": 4, "intermediate": 128, "vocabulary": 400}},
)


def encoders(said: Said, blobs: Blobs, size: Size, seed: int) -> Scoring:
    """harken's own encoders, trained from nothing."""
    seen = any(isinstance(p, Image) for prompt in said.prompts.values() for p in prompt.messages[0].parts)
    family = replace(FAMILY, encoders={**FAMILY.encoders, "audio" if seen else "image": None})
    config = RewardConfig(
        RewardModelConfig(HEADS, trunk="encoders", family=family),
        criterion=said.criterion,
        steps=size.steps,
        batch=32,
        optimizer=OptimizerConfig(rate=2e-3, muon_rate=2e-3, warmup=50, decay="cosine", weight_decay=0.05),
    )
    feedback = Feedback(tuple(said.prompts.values()), tuple(said.completions.values()), tuple(said.answers))
    made = train_reward_model(None, feedback, config=config, at=Workplace(blobs, seed, stage="reward"))
    encoded = EncodedPrompts(made.model.processor, blobs)
    return lambda completions, prompts: made.summary(completions, prompts, encoded)


MODELS = {"described": described, "encoders": encoders}


def with_medium(prompt: Prompt, medium: Image | Audio) -> Prompt:
    """The same prompt with another medium in the place of its own."""
    (message,) = prompt.messages
    parts = tuple(medium if isinstance(part, Image | Audio) else part for part in message.parts)
    return replace(prompt, messages=(replace(message, parts=parts),))


def medium_of(prompt: Prompt) -> Image | Audio:
    """The one medium of a prompt."""
    return next(part for part in prompt.messages[0].parts if isinstance(part, Image | Audio))


def blank(medium: Image | Audio, blobs: Blobs) -> Image | Audio:
    """A grey picture of the same size; silence of the same length."""
    data = blobs.read(medium.sha256)
    if isinstance(medium, Image):
        return Image(blobs.put(image.encode_png(np.full_like(image.decode(data), GREY)), "image"))
    return Audio(blobs.put(audio.encode_wav(np.zeros_like(audio.decode(data, RATE)), RATE), "audio"))


@dataclass
class Found:
    """Flags of all that was tried, and the means and spreads of the changes."""

    flags: dict[str, list[bool]]
    changes: dict[str, list[float]]
    spreads: list[float]

    @classmethod
    def nothing(cls) -> "Found":
        """Before anything was tried."""
        return cls({}, {}, [])

    def add(self, name: str, change: Sequence[float], sign: Sequence[float]) -> None:
        """Changes of scores, and the signs that people give them."""
        self.changes.setdefault(name, []).extend(c * s for c, s in zip(change, sign, strict=True))
        self.flags.setdefault(name, []).extend(c * s > 0 for c, s in zip(change, sign, strict=True))

    def figures(self) -> dict[str, object]:
        """Shares with 95 % intervals."""
        out: dict[str, object] = {}
        for name, flags in self.flags.items():
            share = exactness(flags)
            out[name] = [round(value, 4) for value in (share.rate, share.low, share.high)]
            out[f"{name}_count"] = share.count
            if name in self.changes:
                out[f"{name}_change"] = round(float(np.mean(self.changes[name])), 3)
        return out | {"members_spread": round(float(np.mean(self.spreads)), 3)}


def scores_of(score: Scoring, asked: Sequence[tuple[Prompt, Image | Audio, Completion]], found: Found) -> list[float]:
    """Mean scores of completions to prompts with these media in them."""
    prompts, completions = {}, []
    for n, (prompt, medium, completion) in enumerate(asked):
        prompts[f"{n}"] = replace(with_medium(prompt, medium), id=f"{n}")
        completions.append(replace(completion, id=f"{n}", prompt_id=f"{n}"))
    summary = score(completions, prompts)
    found.spreads.extend(summary.spread.tolist())
    return summary.mean.tolist()


def swap_named(score: Scoring, data: Labelled, part: str, blobs: Blobs, found: Found, seed: int) -> None:
    """Swap the media of clearly named items of a part, two and two with different names; each is in one pair."""
    order = np.random.default_rng(seed).permutation(sorted(k for k in data.said if data.parts[k] == part))
    waiting: list[str] = []
    asked: list[tuple[Prompt, Image | Audio, Completion]] = []
    for key in order.tolist():
        other = next((name for name in waiting if data.said[name] != data.said[key]), None)
        if other is None:
            waiting.append(key)
            continue
        waiting.remove(other)
        prompt, own, new = data.prompts[key], medium_of(data.prompts[key]), medium_of(data.prompts[other])
        before, after = (data.completions[completion_id(key, data.said[k])] for k in (key, other))
        asked += [(prompt, own, before), (prompt, new, before), (prompt, own, after), (prompt, new, after)]
        asked.append((prompt, blank(own, blobs), before))
    told = np.array(scores_of(score, asked, found)).reshape(-1, 5)
    fell, rose = told[:, 1] - told[:, 0], told[:, 3] - told[:, 2]
    found.add("own_name_loses", fell.tolist(), [-1.0] * len(told))
    found.add("other_name_gains", rose.tolist(), [1.0] * len(told))
    found.flags.setdefault("both", []).extend(((fell < 0) & (rose > 0)).tolist())
    found.add("blank_loses", (told[:, 4] - told[:, 0]).tolist(), [-1.0] * len(told))
    _accuracy(score, data, part, found)


def _accuracy(score: Scoring, data: Labelled, part: str, found: Found) -> None:
    keys = [key for key in data.said if data.parts[key] == part]
    asked = [data.completions[completion_id(key, name)] for key in keys for name in data.names]
    mean = score(asked, data.prompts).mean.reshape(len(keys), len(data.names))
    best = [data.names[n] for n in mean.argmax(1).tolist()]
    found.flags.setdefault("right_name_first", []).extend(b == data.said[k] for b, k in zip(best, keys, strict=True))


def swap_graded(
    score: Scoring, data: Recordings, judged: np.ndarray, criterion: str, blobs: Blobs, found: Found
) -> None:
    """Swap each judged recording for another speaker's, of a sentence about as long and with a clearly other grade."""
    keys = np.array(list(data.prompts))
    mean = data.grades[criterion].mean(1)
    length = np.array([syllables(data.completions[key].text) for key in keys])
    speakers, rows = np.array(data.speakers), np.flatnonzero(judged)
    asked, signs = [], []
    for row in rows.tolist():
        others = rows[(np.abs(mean[rows] - mean[row]) > GAP) & (speakers[rows] != speakers[row])]
        if not len(others):
            continue
        other = int(others[np.abs(length[others] - length[row]).argmin()])
        prompt, completion = data.prompts[keys[row]], data.completions[keys[row]]
        own, new = medium_of(prompt), medium_of(data.prompts[keys[other]])
        asked += [(prompt, own, completion), (prompt, new, completion), (prompt, blank(own, blobs), completion)]
        signs.append(float(np.sign(mean[other] - mean[row])))
    told = np.array(scores_of(score, asked, found)).reshape(-1, 3)
    found.add("moves_as_experts", (told[:, 1] - told[:, 0]).tolist(), signs)
    found.add("blank_loses", (told[:, 2] - told[:, 0]).tolist(), [-1.0] * len(told))


def pictures(model: str, data: Path, blobs: Blobs, size: Size, found: Found) -> None:
    """Pictures that people named."""
    read = read_pictures(data, blobs, size.learnt, size.judged)
    learnt = read.learnt("judged")
    score = MODELS[model](Said(learnt.prompts, learnt.completions, learnt.answers, read.names), blobs, size, 0)
    swap_named(score, read, "judged", blobs, found, 0)


def sounds(model: str, data: Path, blobs: Blobs, size: Size, found: Found) -> None:
    """Sounds that people named, fold by fold."""
    read = read_sounds(data, blobs)
    for part in sorted(set(read.parts.values()))[: size.parts]:
        learnt = read.learnt(part)
        said = Said(learnt.prompts, learnt.completions, learnt.answers, read.names)
        swap_named(MODELS[model](said, blobs, size, 0), read, part, blobs, found, 0)


def speech(model: str, data: Path, blobs: Blobs, size: Size, found: Found) -> None:
    """Read sentences whose fluency was graded, fold by fold of speakers."""
    read = read_recordings(data / "speechocean", blobs)
    speakers = np.array(read.speakers)
    for part in np.array_split(np.random.default_rng(0).permutation(np.unique(speakers)), 4)[: size.parts]:
        judged = np.isin(speakers, part)
        learnt = {key for key, out in zip(read.prompts, judged, strict=True) if not out}
        graded = [a for a in read.answers if a.feedback.prompt_id in learnt and a.feedback.criterion == "fluency"]
        said = Said(
            {key: read.prompts[key] for key in sorted(learnt)},
            {key: read.completions[key] for key in sorted(learnt)},
            graded,
            criterion="fluency",
        )
        swap_graded(MODELS[model](said, blobs, size, 0), read, judged, "fluency", blobs, found)


TASKS = {"pictures": pictures, "sounds": sounds, "speech": speech}
NAMES = tuple(f"{task}_{model}" for task in TASKS for model in MODELS)


def run(data: Path, names: Sequence[str], size: Size, scratch: Path) -> dict[str, object]:
    """The figures of some of `NAMES`."""
    out: dict[str, object] = {}
    for name in names:
        task, _, model = name.rpartition("_")
        begun, found = time.monotonic(), Found.nothing()
        TASKS[task](model, data, Blobs(scratch), size, found)
        out[name] = found.figures() | {"seconds": round(time.monotonic() - begun, 1)}
        print(name, json.dumps(out[name]), flush=True)
    return out


def main(given: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="has cifar10, cifar_human, esc10, speechocean")
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--only", default=",".join(NAMES), help="some of these, by commas")
    for field, value in vars(Size()).items():
        parser.add_argument(f"--{field}", type=int, default=value)
    asked = parser.parse_args(given)
    names = asked.only.split(",")
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; there are {', '.join(NAMES)}")
    torch.set_num_threads(1)
    size = Size(asked.learnt, asked.judged, asked.steps, asked.parts)
    with tempfile.TemporaryDirectory() as scratch:
        out = run(asked.data, names, size, Path(scratch))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(out, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
