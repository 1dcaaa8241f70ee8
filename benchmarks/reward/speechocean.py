"""How people grade speech: a reward from votes and grades against a ridge on the mean grade.

python -m benchmarks.reward.speechocean --train FOLDER [--test FOLDER] --json FILE

With one folder: five folds by speaker, for three splits. With two: trained on the one, judged on the other, which must
hold other speakers. The reward never sees a mean grade: it learns from every expert's own grades and from votes
between recordings that these imply.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import pearsonr

from benchmarks.reward.recordings import CRITERIA, LEVELS, Recordings, read_recordings
from benchmarks.reward.ridge import ridge, simple_features
from harken.data.blobs import Blobs
from harken.data.descriptors.speech import RATE
from harken.data.media import audio
from harken.feedback.derived import votes_from_ratings
from harken.feedback.held_out import refuse_leaks, shared
from harken.reward.described import DescribedConfig, Describer, train_described_reward
from harken.types import Audio

SPLITS, FOLDS, VOTES = 3, 5, 1600
CLEAR = 0.5
"""Pairs whose mean grades differ by more are counted."""
SAME = 0.2
"""Experts whose mean grades differ by less may swap."""
WEIGHTS = {"rating": 1.0, "comparison": 0.5}


def in_order(truth: np.ndarray, found: np.ndarray) -> float:
    """The share of pairs, whose truth differs clearly, that are in the right order."""
    i, j = np.triu_indices(len(truth), 1)
    gap = truth[i] - truth[j]
    clear = np.abs(gap) > CLEAR
    return float(np.mean((found[i] - found[j])[clear] * gap[clear] > 0))


class Learner:
    """Rewards and ridges on one set of recordings; what is measured of a recording is measured once."""

    def __init__(self, data: Recordings, blobs: Blobs):
        self.data, self.names = data, list(data.prompts)
        self.describer = Describer(blobs, words=False)
        self.simple = np.stack([self._simple(name, blobs) for name in self.names])
        self.speakers = np.array(data.speakers)
        self.severity: dict[str, np.ndarray] = {}

    def _simple(self, name: str, blobs: Blobs) -> np.ndarray:
        prompt = self.data.prompts[name]
        said = next(part for part in prompt.messages[0].parts if isinstance(part, Audio))
        return simple_features(audio.decode(blobs.read(said.sha256), RATE), self.data.completions[name].text)

    def reward(self, learnt: np.ndarray, judged: np.ndarray, criterion: str, seed: int) -> np.ndarray:
        """Scores of the judged, from what experts said of the learnt."""
        names = {self.names[i] for i in np.flatnonzero(learnt)}
        grades = [a for a in self.data.answers if a.feedback.prompt_id in names and a.feedback.criterion == criterion]
        asked = {self.names[i] for i in np.flatnonzero(judged)}
        measured = [a for a in self.data.answers if a.feedback.prompt_id in asked]
        # The experts are the same few everywhere; a recording or a speaker must not be.
        leaks = shared(grades, measured, self.data.prompts, ["speaker"])
        refuse_leaks(leaks, ["annotator"], "split by speaker")
        votes = votes_from_ratings(grades, VOTES, seed, criterion)
        config = DescribedConfig(criterion=criterion, weights=WEIGHTS, group_by="speaker")
        made = train_described_reward(
            self.data.prompts, self.data.completions, [*grades, *votes], self.describer, config, seed
        )
        self.severity[criterion] = made.wording.severity.detach().numpy()
        completions = [self.data.completions[self.names[i]] for i in np.flatnonzero(judged)]
        # What a panel of these experts would say of them on average, as the mean grade that it is compared with is.
        return made.expected_grade(completions, self.data.prompts, self.describer, LEVELS).numpy()

    def ridge(self, learnt: np.ndarray, judged: np.ndarray, criterion: str, seed: int) -> np.ndarray:
        """The peer's predictions."""
        means = self.data.grades[criterion].mean(1)
        return ridge(self.simple[learnt], means[learnt], self.simple[judged])


Method = Callable[[np.ndarray, np.ndarray, str, int], np.ndarray]


def folds_by_speaker(speakers: np.ndarray, seed: int) -> list[np.ndarray]:
    """Which rows are judged, fold by fold; a speaker is in one fold."""
    names = np.random.default_rng(seed).permutation(np.unique(speakers))
    return [np.isin(speakers, part) for part in np.array_split(names, FOLDS)]


def figures(
    learner: Learner, method: Method, criterion: str, splits: Sequence[tuple[int, np.ndarray, np.ndarray]]
) -> dict[str, list[float]]:
    """Of each (seed, learnt, judged): Pearson's correlation with the experts' mean, and the share of pairs in order."""
    out: dict[str, list[float]] = {"pearson": [], "pairs": []}
    for seed, learnt, judged in splits:
        found, truth = method(learnt, judged, criterion, seed), learner.data.grades[criterion].mean(1)[judged]
        out["pearson"].append(float(pearsonr(found, truth)[0]))
        out["pairs"].append(in_order(truth, found))
    return out


def severities_in_order(learner: Learner, learnt: np.ndarray, criterion: str) -> tuple[bool, list[float], list[float]]:
    """Whether a severer expert has the larger severity, wherever their mean grades differ clearly; both lists."""
    means, found = learner.data.grades[criterion][learnt].mean(0), learner.severity[criterion]
    right = all(
        found[i] > found[j] for i in range(len(means)) for j in range(len(means)) if means[j] - means[i] >= SAME
    )
    return right, found.round(3).tolist(), means.round(2).tolist()


def merged(train: Recordings, test: Recordings) -> tuple[Recordings, np.ndarray]:
    """Both folders as one, and which rows are of the second.

    Raises:
        SystemExit: if a speaker is in both.
    """
    both = sorted(set(train.speakers) & set(test.speakers))
    if both:
        raise SystemExit(f"speakers {', '.join(both[:5])} are in both folders: a test needs other speakers")
    grades = {c: np.concatenate([train.grades[c], test.grades[c]]) for c in CRITERIA}
    out = Recordings(
        {**train.prompts, **test.prompts},
        {**train.completions, **test.completions},
        [*train.answers, *test.answers],
        grades,
        [*train.speakers, *test.speakers],
    )
    return out, np.arange(len(out.prompts)) >= len(train.prompts)


def run(train: Path, test: Path | None, scratch: Path) -> dict[str, object]:
    """All figures."""
    begun, blobs = time.monotonic(), Blobs(scratch)
    data = read_recordings(train, blobs)
    if test is None:
        learner = Learner(data, blobs)
        judged = [(seed, part) for seed in range(SPLITS) for part in folds_by_speaker(learner.speakers, seed)]
    else:
        data, unseen = merged(data, read_recordings(test, blobs))
        learner = Learner(data, blobs)
        judged = [(seed, unseen) for seed in range(SPLITS)]
    splits = [(seed, ~part, part) for seed, part in judged]
    out: dict[str, object] = {"recordings": len(data.prompts), "speakers": len(set(data.speakers))}
    for criterion in CRITERIA:
        for name, method in (("", learner.reward), ("ridge_", learner.ridge)):
            # The peer has no seed: with one test set it says the same each time.
            chosen = splits[:1] if name and test is not None else splits
            found = figures(learner, method, criterion, chosen)
            for figure, values in found.items():
                out[f"{name}{criterion}_{figure}"] = round(float(np.mean(values)), 4)
                out[f"{name}{criterion}_{figure}_all"] = [round(value, 4) for value in values]
        right, severities, means = severities_in_order(learner, splits[-1][1], criterion)
        out |= {f"{criterion}_severities_in_order": right, f"{criterion}_severities": severities}
        out[f"{criterion}_mean_grades"] = means
        told = " ".join(f"{k} {out[k]}" for k in (f"{criterion}_pearson", f"{criterion}_pairs"))
        peer = " ".join(f"{k} {out[k]}" for k in (f"ridge_{criterion}_pearson", f"ridge_{criterion}_pairs"))
        print(f"{told} | {peer} | severities in order: {right}", flush=True)
    out["seconds"] = round(time.monotonic() - begun, 1)
    return out


def main(given: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="folder with *.jsonl and *.zip")
    parser.add_argument("--test", type=Path, help="another folder, of other speakers")
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    asked = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as scratch:
        out = run(asked.train, asked.test, Path(scratch))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(out, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
