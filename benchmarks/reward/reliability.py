"""Which label is true, and who is to be believed? harken's consensus against majority vote and crowd-kit.

python -m benchmarks.reward.reliability --json FILE [--nlvr FOLDER] [--esc10 FOLDER] [--text-prefs FOLDER]
    [--cifar-human FOLDER] [--draws 10]
    [--peers DawidSkene OneCoinDawidSkene]

nlvr, esc10: 2 and 3 answers of every item are kept, drawn; labels made of them are compared with the true ones, and
what was learnt of each rater with the answers that were held back. text_prefs: on a third of the pairs one person's
votes are held back, and predicted from the other two's. cifar_human: three labels a picture; the annotators there are
columns, each of many people, so that confusions can be learnt of them and reliabilities cannot.

A method's accuracy counts ties of its best n labels as 1 / n each. Intervals are of 95 %: of accuracies and their
differences over draws (the same answers, drawn otherwise) and over items; of rank correlations over raters.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.reward.crowds import Imported, drawn, free_scores, imported, right, some, truth_of, votes
from benchmarks.reward.intervals import over_draws, over_units
from benchmarks.reward.peers import PEERS, installed, peer
from benchmarks.reward.raters import compared, correlated, raters
from harken.reward.consensus import Choices, choices_of, consensus

DATA = Path("../shared/data")
KEPT = (2, 3)
"""Answers an item."""
HELD_BACK = ("held_accuracy", "held_accuracy_less_ease")
LEARNT = ("reliability", "agreement_with_majority", "kept_accuracy")
TRUE = {"nlvr": "label", "esc10": "class"}
"""The fact of a prompt that holds its true label."""

Method = Callable[[Choices], Tensor]


@dataclass(frozen=True)
class Effort:
    """How many draws, and which aggregators of crowd-kit."""

    draws: int = 10
    peers: tuple[str, ...] = PEERS


def methods(peers: Sequence[str]) -> dict[str, Method]:
    """Chances of labels, by the method's name; majority first."""
    ours: dict[str, Method] = {
        "majority": votes,
        "consensus": lambda choices: consensus(choices).chances,
        "free_scores": lambda choices: free_scores(choices)[0],
    }
    return ours | ({name: peer(name) for name in peers} if installed() else {})


def told(fact: object) -> str:
    """A fact as a completion's text has it."""
    return str(fact).lower() if isinstance(fact, bool) else str(fact)


def kept_few(choices: Choices, truth: Sequence[int], each: int, much: Effort) -> dict[str, Any]:
    """All figures with `each` answers an item."""
    tried: dict[str, Method] = methods(much.peers)
    rights: dict[str, list[NDArray[np.float64]]] = {}
    people: list[dict[str, NDArray[np.float64]]] = []
    for seed in range(much.draws):
        kept = drawn(choices, each, seed)
        known = some(choices, kept)
        for name, method in tried.items():
            rights.setdefault(name, []).append(right(method(known), truth))
        people.append(raters(choices, truth, kept))
    out: dict[str, Any] = {"methods": compared({name: np.stack(found) for name, found in rights.items()})}
    for held in HELD_BACK:
        out[held] = {
            "raters": float(np.mean([np.sum(~np.isnan(p[held]) & ~np.isnan(p["reliability"])) for p in people])),
            "raters_always_right": float(np.mean([np.sum(p["held_accuracy"] == 1) for p in people])),
        } | {by: correlated([(p[by], p[held]) for p in people]) for by in LEARNT}
    return out


def labelled(name: str, folder: Path, much: Effort) -> dict[str, Any]:
    """nlvr or esc10."""
    data = imported(name, folder)
    choices = choices_of(data.answers, data.completions)
    truth = truth_of(choices, {p.id: told(p.facts[TRUE[name]]) for p in data.prompts.values()})
    out: dict[str, Any] = counted(choices, data)
    out["majority_of_all"] = round(float(right(votes(choices), truth).mean()), 4)
    out["consensus_of_all"] = round(float(right(consensus(choices).chances, truth).mean()), 4)
    for each in KEPT:
        out[f"kept_{each}"] = found = kept_few(choices, truth, each, much)
        show(f"{name}, {each} kept", found["methods"])
        for held in HELD_BACK:
            for by in LEARNT:
                print(f"  Spearman of {by} with {held}: {found[held][by]}", flush=True)
    return out


def counted(choices: Choices, data: Imported) -> dict[str, Any]:
    """How much there is."""
    people = {"items": len(choices.items), "answers": len(choices.item), "raters": len(choices.annotators)}
    return people | {"skipped_records": data.skipped}


def show(name: str, found: dict[str, Any]) -> None:
    """A line a method."""
    for method, figures in found.items():
        gain = figures.get("more_than_majority_over_draws", "")
        print(f"{name}: {method} {figures['accuracy']} {gain}", flush=True)


def third_person(folder: Path, much: Effort) -> dict[str, Any]:
    """text_prefs: a person's votes on a third of the pairs, predicted from the other two's there.

    Who is to be believed where the two differ is learnt where all three voted.
    """
    data = imported("text_prefs", folder)
    choices = choices_of(data.answers, data.completions)
    tried: dict[str, Method] = {"majority": votes, "consensus": lambda known: consensus(known).chances}
    draws = much.draws
    hits = {name: np.zeros((draws, len(choices.items))) for name in tried}
    asked = np.zeros((draws, len(choices.items)))
    for seed in range(draws):
        third = torch.from_numpy(np.random.default_rng(seed).random(len(choices.items)) < 1 / 3)
        for person in range(len(choices.annotators)):
            held = third[choices.item] & (choices.annotator == person)
            known, unseen = some(choices, ~held), some(choices, held)
            asked[seed] += np.bincount(unseen.item, minlength=len(choices.items))
            for name, method in tried.items():
                found = right(method(known)[unseen.item], unseen.label.tolist())
                hits[name][seed] += np.bincount(unseen.item, found, len(choices.items))
    gain, times = (hits["consensus"] - hits["majority"]), asked
    learnt = consensus(choices)
    people = zip(choices.annotators, learnt.reliability.tolist(), learnt.accuracy.tolist(), strict=True)
    out = counted(choices, data)
    for name, hit in hits.items():
        out[name] = {"accuracy": over_draws(hit.sum(1) / asked.sum(1))}
    out["consensus"] |= {
        "more_than_majority_over_draws": over_draws(gain.sum(1) / times.sum(1)),
        "more_than_majority_over_items": over_units(
            lambda rows: float(gain[:, rows].sum() / max(times[:, rows].sum(), 1.0)), len(choices.items)
        ),
    }
    show("text_prefs, the third person", {name: out[name] for name in tried})
    return out | {"people": {name: [round(sure, 3), round(often, 3)] for name, sure, often in people}}


def columns(folder: Path, much: Effort) -> dict[str, Any]:
    """cifar_human: three columns of labels, and the first two alone, against the clean ones."""
    with np.load(sorted(folder.glob("*.npz"))[0]) as held:
        said = np.stack([held[f"random_label{n}"] for n in (1, 2, 3)], axis=1).astype(np.int64)
        truth = held["clean_label"].astype(np.int64).tolist()
    labels = tuple(str(n) for n in range(int(max(said.max(), *truth)) + 1))
    item, who = np.divmod(np.arange(said.size), 3)
    names = tuple(f"column {n}" for n in (1, 2, 3))
    rows = (torch.from_numpy(item), torch.from_numpy(who), torch.from_numpy(said.reshape(-1)))
    every = Choices(tuple(range(len(said))), names, labels, *rows, torch.ones(said.size, dtype=torch.float64))
    out: dict[str, Any] = {"items": len(said), "answers": said.size}
    tried = {name: method for name, method in methods([p for p in much.peers if p == "DawidSkene"]).items()}
    tried.pop("free_scores")
    for each in (3, 2):
        known = some(every, who < each)
        rights = {name: right(method(known), truth)[None] for name, method in tried.items()}
        found = compared(rights)
        for figures in found.values():
            figures.pop("more_than_majority_over_draws", None)
            figures["accuracy"] = figures["accuracy"][0]
        tied = (rights["majority"][0] > 0) & (rights["majority"][0] < 1)
        out[f"kept_{each}"] = found | {"share_of_items_tied_with_the_truth_among_them": round(float(tied.mean()), 4)}
        print(f"cifar_human, {each} columns: {found}", flush=True)
    return out


SETS: dict[str, Callable[[Path, Effort], dict[str, Any]]] = {
    "nlvr": lambda folder, much: labelled("nlvr", folder, much),
    "esc10": lambda folder, much: labelled("esc10", folder, much),
    "text_prefs": third_person,
    "cifar_human": columns,
}


def run(folders: dict[str, Path], much: Effort) -> dict[str, Any]:
    """All figures of the sets whose folders are there; the others are named."""
    begun, out = time.monotonic(), {"draws": much.draws, "crowd_kit": installed()}
    for name, folder in folders.items():
        if not folder.is_dir():
            print(f"{name}: no folder {folder}; left out", flush=True)
        out[name] = SETS[name](folder, much) if folder.is_dir() else None
    return out | {"seconds": round(time.monotonic() - begun, 1)}


def main(given: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--draws", type=int, default=10, help="of the answers that are kept")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS, help="of crowd-kit; GLAD and MACE are slow")
    parser.add_argument("--only", nargs="*", choices=list(SETS), help="these sets alone")
    for name in SETS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, default=DATA / name, help="its folder")
    asked = parser.parse_args(given)
    out = run({name: getattr(asked, name) for name in asked.only or SETS}, Effort(asked.draws, tuple(asked.peers)))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(out, indent=2) + "\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)
    main(sys.argv[1:])
