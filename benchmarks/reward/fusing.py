"""What a crowd says of voice and face together, from what it says of each alone: CREMA-D's votes.

python -m benchmarks.reward.fusing --json FILE [--crema-votes FOLDER] [--splits 3]

A clip's six emotions are scored by a line on the log-shares of its voice votes and its face votes (each vote count
plus one half), an intercept an emotion, and how much the votes agreed; the likelihood is harken's, of counted choices
(`reward/likelihoods/ranking.py`). With the two log-shares alone that is a product of experts (Hinton 2002); what the
clips' actor does is never seen: five folds by actor, for several splits. Judged by the audiovisual votes: nats a vote
(cross entropy) and above what the votes' own shares would take (KL), whether the likeliest emotion is the one that most
chose (ties count 1 / n), and the expected calibration error of its chance, over ten bins, against the share that
chose it. `raw` are the shares as they are, smoothed; the others are fitted. Intervals are of 95 %, over actors.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.reward.crowds import imported
from benchmarks.reward.intervals import over_units
from benchmarks.reward.speechocean import folds_by_speaker
from harken.reward.linear import LinearConfig, fit_lines
from harken.reward.wording import Wording
from harken.types import Ranking

DATA = Path("../shared/data/crema_votes")
MODALITIES = ("voice", "face", "audiovisual")
HALF, BINS = 0.5, 10
FITTED = {"voice": (0,), "face": (1,), "both": (0, 1)}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """Of every clip: its actor, and how many chose each emotion by each modality, (C, 3, L)."""

    actors: NDArray[np.str_]
    counts: Array


def read(folder: Path) -> Votes:
    """Clips that were judged by all three modalities."""
    data = imported("crema_votes", folder)
    texts = sorted({completion.text for completion in data.completions.values()})
    counts: dict[str, Array] = {}
    actors: dict[str, str] = {}
    for answer in data.answers:
        said, facts = answer.feedback, data.prompts[answer.feedback.prompt_id].facts
        assert isinstance(said, Ranking), "the mapping makes choices"
        clip = str(facts["clip"])
        actors[clip] = str(facts["speaker"])
        table = counts.setdefault(clip, np.zeros((len(MODALITIES), len(texts))))
        emotion = texts.index(data.completions[said.tiers[0][0]].text)
        table[MODALITIES.index(str(facts["modality"])), emotion] += answer.count
    whole = [clip for clip, table in counts.items() if (table.sum(1) > 0).all()]
    return Votes(np.array([actors[clip] for clip in whole]), np.stack([counts[clip] for clip in whole]))


def shares(counts: Array) -> Array:
    """Smoothed by one half a label."""
    return (counts + HALF) / (counts + HALF).sum(-1, keepdims=True)


def features(counts: Array, used: Sequence[int]) -> Array:
    """Of each clip and emotion: the emotion, log-shares, and these times how far the votes agreed, (C L, D)."""
    clips, _, labels = counts.shape
    out = [np.tile(np.eye(labels), (clips, 1))]
    for modality in used:
        found = shares(counts[:, modality])
        agreed = (found**2).sum(1, keepdims=True)
        out += [np.log(found).reshape(-1, 1), (np.log(found) * agreed).reshape(-1, 1)]
    return np.concatenate(out, axis=1)


def fused(votes: Votes, unseen: NDArray[np.bool_], used: Sequence[int]) -> Array:
    """Chances of the emotions of unseen clips, (C', L)."""
    learnt, labels = votes.counts[~unseen], votes.counts.shape[2]
    clip, emotion = np.nonzero(learnt[:, 2])
    said = {
        "ranking.items": torch.from_numpy(clip[:, None] * labels + np.arange(labels)),
        "ranking.tier": torch.from_numpy((np.arange(labels) != emotion[:, None]).astype(np.int64)),
        "ranking.tiers": torch.ones(len(clip), dtype=torch.long),
        "ranking.annotator": torch.zeros(len(clip), dtype=torch.long),
        "ranking.weight": torch.from_numpy(learnt[clip, 2, emotion][:, None]),
    }
    _, actors = np.unique(votes.actors[~unseen], return_inverse=True)
    # Some ten features and thousands of votes: one weak penalty, of a coefficient's square on a standardised feature.
    config = LinearConfig(penalties=(1.0,))
    groups = np.repeat(actors, labels).tolist()
    rows = torch.from_numpy(features(learnt, used))
    lines = fit_lines(rows, said, Wording(["crowd"], ()), config, groups, {})
    scores = lines(torch.from_numpy(features(votes.counts[unseen], used))).reshape(-1, labels)
    return scores.softmax(1).numpy()


def raw(counts: Array) -> dict[str, Array]:
    """Shares as they are: of the voice, of the face, and their mean."""
    voice, face = shares(counts[:, 0]), shares(counts[:, 1])
    return {"raw_voice": voice, "raw_face": face, "raw_mean": (voice + face) / 2}


def calibration_error(sure: Array, came: Array, weight: Array) -> float:
    """Expected calibration error over ten bins of equal width (1706.04599, equation 3)."""
    where = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(where, weight * (came - sure), BINS)
    return float(np.abs(gaps).sum() / max(weight.sum(), 1.0))


def judged(chances: Array, heard: Array, actor: NDArray[np.int64]) -> dict[str, Any]:
    """Figures of predictions (C, L) against votes (C, L)."""
    many = heard.sum(1)
    own = heard / many[:, None]
    nats = -(heard * np.log(chances)).sum(1)
    least = -(heard * np.log(np.where(own > 0, own, 1.0))).sum(1)
    top = chances >= chances.max(1, keepdims=True) - 1e-9
    most = own == own.max(1, keepdims=True)
    right = (top * most).sum(1) / (top.sum(1) * most.sum(1))
    best = chances.argmax(1)
    each = np.arange(len(chances))
    of_actor = [np.flatnonzero(actor == n) for n in range(actor.max() + 1)]

    def over(values: Array, by: Array) -> list[float]:
        total, weights = (np.array([x[rows].sum() for rows in of_actor]) for x in (values, by))
        return over_units(lambda rows: float(total[rows].sum() / weights[rows].sum()), len(of_actor))

    return {
        "nats": over(nats, many),
        "kl": over(nats - least, many),
        "accuracy": over(right, np.ones_like(right)),
        "ece": round(calibration_error(chances[each, best], own[each, best], many), 4),
    }


def run(folder: Path, splits: int) -> dict[str, Any]:
    """All figures; every split's predictions are judged."""
    begun, votes = time.monotonic(), read(folder)
    _, actor = np.unique(votes.actors, return_inverse=True)
    found = {name: [chances] for name, chances in raw(votes.counts).items()}
    for name, used in FITTED.items():
        for seed in range(splits):
            chances = np.zeros_like(votes.counts[:, 0])
            for unseen in folds_by_speaker(votes.actors, seed):
                chances[unseen] = fused(votes, unseen, used)
            found.setdefault(f"fitted_{name}", []).append(chances)
    heard = votes.counts[:, 2]
    out: dict[str, Any] = {"clips": len(heard), "actors": int(actor.max()) + 1, "votes": int(heard.sum())}
    for name, each in found.items():
        repeated = np.concatenate(each), np.tile(heard, (len(each), 1)), np.tile(actor, len(each))
        out[name] = judged(*repeated)
        print(name, out[name], flush=True)
    return out | {"seconds": round(time.monotonic() - begun, 1)}


def main(given: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crema-votes", type=Path, default=DATA, help="folder with votes*.csv")
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--splits", type=int, default=3, help="of the actors into folds")
    asked = parser.parse_args(given)
    out = run(asked.crema_votes, asked.splits)
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(out, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
