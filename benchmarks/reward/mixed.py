"""Is mixed feedback worth more than one kind at the same number of answers? On speech that experts graded.

python -m benchmarks.reward.mixed --json FILE [--train FOLDER] [--criteria fluency] [--seeds 5]

An answer is one statement of one expert: a grade; a vote between two recordings, or a ranking of five (equal grades are
one tier), as that expert's own grades order them. Rewards are trained on votes alone, grades alone, rankings alone, and
on a third of each, with every kind weighing 1, and judged on speakers that were left out: correlation with the
experts' mean grade, and the share of pairs (means more than .5 apart) in order. Each seed leaves another fifth of the
speakers out and draws other answers. Intervals are of 95 %, over seeds; differences are paired. Edits are not among the
kinds: nobody edited these.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import pearsonr

from benchmarks.reward.intervals import over_draws
from benchmarks.reward.recordings import CRITERIA, LEVELS, Recordings, read_recordings
from benchmarks.reward.speechocean import FOLDS, folds_by_speaker, in_order
from harken.data.blobs import Blobs
from harken.data.seeds import derive
from harken.feedback.derived import votes_from_ratings
from harken.reward.described import DescribedConfig, Describer, train_described_reward
from harken.types import Answer, Ranking, Rating

DATA = Path("../shared/data/speechocean")
COUNTS = (300, 1200)
RANKED = 5
KINDS = ("votes", "grades", "rankings")


def by_expert(grades: Sequence[Answer]) -> dict[str, list[Answer]]:
    """Grades by who gave them."""
    found: dict[str, list[Answer]] = {}
    for answer in grades:
        found.setdefault(answer.annotator, []).append(answer)
    return dict(sorted(found.items()))


def shared_out(count: int, parts: int) -> list[int]:
    """A number in so many whole parts, as equal as can be."""
    return [count // parts + (n < count % parts) for n in range(parts)]


def some_grades(grades: Sequence[Answer], count: int, seed: int) -> list[Answer]:
    """Grades, as many of each expert."""
    people = by_expert(grades)
    out = []
    for (expert, mine), each in zip(people.items(), shared_out(count, len(people)), strict=True):
        out += random.Random(derive(seed, "grades", expert)).sample(mine, min(each, len(mine)))
    return out


def some_votes(grades: Sequence[Answer], count: int, seed: int) -> list[Answer]:
    """Votes that an expert's own grades imply, as many of each."""
    people = by_expert(grades)
    out = []
    for mine, each in zip(people.values(), shared_out(count, len(people)), strict=True):
        said = mine[0].feedback
        assert isinstance(said, Rating), "recordings hold grades"
        out += votes_from_ratings(mine, each, seed, said.criterion)
    return out


def some_rankings(grades: Sequence[Answer], count: int, seed: int) -> list[Answer]:
    """Rankings of five recordings by an expert's own grades, as many of each; equal grades share a tier.

    One whose five grades are equal says nothing and is an answer all the same, as a tie is one.
    """
    people = by_expert(grades)
    out = []
    for (expert, mine), each in zip(people.items(), shared_out(count, len(people)), strict=True):
        chance = random.Random(derive(seed, "rankings", expert))
        for n in range(each):
            tiers: dict[int, list[str]] = {}
            shown = chance.sample(mine, min(RANKED, len(mine)))
            for answer in shown:
                said = answer.feedback
                assert isinstance(said, Rating), "recordings hold grades"
                tiers.setdefault(said.score, []).append(said.completion)
            ordered = tuple(tuple(tiers[grade]) for grade in sorted(tiers, reverse=True))
            first = shown[0].feedback
            assert isinstance(first, Rating), "recordings hold grades"
            ranking = Ranking(first.prompt_id, ordered, (), first.criterion)
            out.append(Answer(f"ranking {expert} {n}", expert, shown[0].annotator_kind, ranking))
    return out


DRAW: dict[str, Callable[[Sequence[Answer], int, int], list[Answer]]] = {
    "votes": some_votes,
    "grades": some_grades,
    "rankings": some_rankings,
}


def answers_of(arm: str, grades: Sequence[Answer], count: int, seed: int) -> list[Answer]:
    """What an arm learns from."""
    if arm != "mixed":
        return DRAW[arm](grades, count, seed)
    return [a for kind, n in zip(KINDS, shared_out(count, 3), strict=True) for a in DRAW[kind](grades, n, seed)]


def judged(
    data: Recordings, describer: Describer, answers: Sequence[Answer], unseen: np.ndarray, criterion: str, seed: int
) -> tuple[float, float]:
    """Correlation with the mean grade, and pairs in order, on recordings that were left out."""
    # One member: kinds are compared, and no spread between members is asked for.
    config = DescribedConfig(heads=1, criterion=criterion, group_by="speaker")
    made = train_described_reward(data.prompts, data.completions, answers, describer, config, seed)
    names = np.array(list(data.prompts))[unseen]
    asked = [data.completions[name] for name in names]
    if any(isinstance(answer.feedback, Rating) for answer in answers):
        found = made.expected_grade(asked, data.prompts, describer, LEVELS).numpy()
    else:
        found = made.scores(asked, data.prompts, describer).mean(1).numpy()
    truth = data.grades[criterion].mean(1)[unseen]
    return float(pearsonr(found, truth)[0]), in_order(truth, found)


def differences(found: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """Means of arms, and mixed less each kind, paired."""
    out: dict[str, Any] = {}
    for place, figure in enumerate(("pearson", "pairs")):
        by_arm = {arm: np.array([values[place] for values in each]) for arm, each in found.items()}
        out[figure] = {arm: over_draws(values) for arm, values in by_arm.items()}
        out[f"{figure}_mixed_less"] = {kind: over_draws(by_arm["mixed"] - by_arm[kind]) for kind in KINDS}
    return out


def run(folder: Path, criteria: Sequence[str], counts: Sequence[int], seeds: int) -> dict[str, Any]:
    """All figures."""
    begun = time.monotonic()
    out: dict[str, Any] = {"seeds": seeds}
    with tempfile.TemporaryDirectory() as scratch:
        blobs = Blobs(Path(scratch))
        data, describer = read_recordings(folder, blobs), Describer(blobs, words=False)
        speakers = np.array(data.speakers)
        splits = [folds_by_speaker(speakers, seed // FOLDS)[seed % FOLDS] for seed in range(seeds)]
        for criterion in criteria:
            for count in counts:
                found: dict[str, list[tuple[float, float]]] = {arm: [] for arm in (*KINDS, "mixed")}
                for seed, unseen in enumerate(splits):
                    learnt = {name for name, out_of in zip(data.prompts, unseen, strict=True) if not out_of}
                    grades = [
                        a
                        for a in data.answers
                        if a.feedback.prompt_id in learnt and getattr(a.feedback, "criterion", "") == criterion
                    ]
                    for arm, results in found.items():
                        answers = answers_of(arm, grades, count, seed)
                        results.append(judged(data, describer, answers, unseen, criterion, seed))
                        print(f"{criterion}, {count} {arm}, seed {seed}: {results[-1]}", flush=True)
                out[f"{criterion}_{count}"] = told = differences(found)
                print(f"{criterion}, {count} answers: {json.dumps(told)}", flush=True)
    return out | {"seconds": round(time.monotonic() - begun, 1)}


def main(given: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, default=DATA, help="folder with *.jsonl and *.zip")
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--criteria", nargs="+", choices=CRITERIA, default=["fluency"])
    parser.add_argument("--counts", nargs="+", type=int, default=list(COUNTS), help="answers")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args(given)
    out = run(asked.train, asked.criteria, asked.counts, asked.seeds)
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(out, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
