"""CIFAR-10 as people labelled it: what soft labels and annotators' reliabilities gain over labels as they come.

python -m benchmarks.family.cifar_human --train FOLDER --labels FOLDER [--test FOLDER] --json FILE [--epochs N]

FOLDER of --labels holds cifar10n_labels.npz (three people's labels of each training picture; 2110.12088). The same
network learns from the first label alone, from the majority, from the three people's shares, and from what their
confusions say of each picture (Dawid and Skene 1979). Judged on true labels of pictures that are not learnt from.
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.family.cifar10 import BATCH, HELD_OUT, SPLIT, family, logits_of, training
from benchmarks.family.command import begun, parser_of, resumable, write_figures
from benchmarks.family.pictures import CLASSES, read_pictures
from benchmarks.family.tables import table_of
from benchmarks.family.work import in_work
from harken.evaluate.metrics.exactness import exactness
from harken.pipeline.learn import learn, new_predictor

PEOPLE = ("random_label1", "random_label2", "random_label3")
ROUNDS = 20
WIDTHS = (16, 64, 64)
"""A quarter as wide as the network of `cifar10`: what is compared is what it is taught."""


def confusions(labels: Tensor) -> Tensor:
    """What each picture is, (N, C), from three anonymous labels and one confusion for all (Dawid and Skene 1979).

    Args:
        labels: (N, 3).
    """
    votes = torch.nn.functional.one_hot(labels, CLASSES).sum(1).double()
    belief = votes / votes.sum(1, keepdim=True)
    for _ in range(ROUNDS):
        said = belief.T @ votes + 1e-2
        log_said = (said / said.sum(1, keepdim=True)).log()
        belief = (votes @ log_said.T + belief.mean(0).log()).softmax(1)
    return belief.float()


def teachings(labels: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is learnt from, by name."""
    people = torch.stack([labels[name] for name in PEOPLE], 1)
    shares = torch.nn.functional.one_hot(people, CLASSES).float().mean(1)
    return {
        "one person's label": labels[PEOPLE[0]],
        "majority": labels["aggre_label"],
        "three people's shares": shares,
        "confusions": confusions(people),
    }


def main() -> None:
    """Learn, judge, print and write."""
    parser = parser_of(__doc__, "folder with CIFAR-10's train.npz", "folder with test.npz")
    parser.add_argument("--labels", type=Path, required=True, help="folder with cifar10n_labels.npz")
    resumable(parser, 8.0)
    said = begun(parser)
    started, pictures = time.monotonic(), read_pictures(said.train, "train")
    with np.load(said.labels / "cifar10n_labels.npz", allow_pickle=False) as arrays:
        labels = {name: torch.from_numpy(arrays[name].astype(np.int64)) for name in (*PEOPLE, "aggre_label")}
    order = torch.randperm(len(pictures.labels), generator=torch.Generator().manual_seed(SPLIT))
    learnt, kept = order[HELD_OUT:], order[:HELD_OUT]
    judged = read_pictures(said.test, "test") if said.test else pictures.part(kept)
    found = {}
    for name, targets in teachings(labels).items():
        model = new_predictor(family(WIDTHS), [], said.seed)
        media = {"image": [{"pixel_values": pictures.pixels[i][None]} for i in learnt.tolist()]}
        table = table_of(model, media, {"object": targets[learnt]})
        folder = said.work / name.replace(" ", "-") if said.work else None
        with in_work(folder, name, said.seed) as (at, _):
            learn(model, table, training(round(said.epochs * table.count / BATCH)), at)
        share = exactness((logits_of(model, judged.pixels).argmax(1) == judged.labels).numpy())
        found[name] = {"accuracy": round(share.rate, 4), "interval": [round(share.low, 4), round(share.high, 4)]}
        print(f"{name:24s} {share.rate:.4f} ({share.low:.4f} to {share.high:.4f})", flush=True)
    figures = {"teachings": found, "epochs": said.epochs, "seed": said.seed, "pictures": len(judged.labels)}
    figures["minutes"] = round((time.monotonic() - started) / 60, 2)
    write_figures(said.json, figures)


if __name__ == "__main__":
    main()
