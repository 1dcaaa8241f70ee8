"""Is the sentence true of the picture? NLVR's dev set, 5 folds by sentence, beside the majority; no threshold.

python -m benchmarks.family.nlvr --train FOLDER [--test FOLDER] --json FILE [--steps N] [--seeds N]

FOLDER holds NAME.jsonl and NAME.zip. A sentence, or a picture, is never on both sides. A convolutional encoder reads
each of the three boxes, a recurrent one the sentence, and layers of attention join them; all from nothing. What is
learnt from is changed as it stays true: colours exchanged in picture and sentence, mirrored; boxes have no order. An
answer is the mean over all seeds and colourings. With --test (a folder of the same form) that is judged, and what
shares a sentence or a picture with it is not learnt from.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.family.boxes import (
    COLOURINGS,
    Statement,
    folds_of,
    groups_of,
    mirrored,
    read_statements,
    recoloured,
    repainted,
    small,
)
from benchmarks.family.command import begun, parser_of, write_figures
from benchmarks.family.tables import encoding_of, read
from benchmarks.family.training import trained, up_and_down
from harken.data.batch import EncodedPrompt
from harken.evaluate.metrics.bootstrap import bootstrap_interval
from harken.evaluate.metrics.exactness import exactness
from harken.models.fusion.build import FamilyConfig
from harken.models.predictor import Predictor
from harken.pipeline.learn import new_predictor
from harken.pipeline.settings import SftConfig
from harken.train.examples import Encoding, Table
from harken.train.sources import DemonstrationsConfig

FOLDS, SPLIT = 5, 0
SIDE, BATCH = 32, 64
"""Pixels of a box's side, and statements a step."""
VERSIONS = 2 * len(COLOURINGS)
"""Of each statement: every colouring, as it is and in a mirror."""


def family() -> FamilyConfig:
    """One state for each box, the words in their order, and attention over both."""
    seen = {"height": SIDE, "width": SIDE, "channels": 3, "pixel_mean": 0.8, "pixel_std": 0.3}
    network = {
        "name": "cnn",
        **seen,
        "stem": 12,
        "kernel": 3,
        "widths": (24, 32, 64, 96, 96),
        "depth": 1,
        "norm": "batch",
    }
    return FamilyConfig(
        encoders={"image": network, "text": {"name": "gru", "hidden": 64}},
        fuse={"name": "joined", "layers": 2, "width": 96},
        heads={"true": {"name": "classify", "classes": 2}},
    )


def training(steps: int) -> SftConfig:
    """How it learns: AdamW up and down once."""
    return SftConfig(
        DemonstrationsConfig(steps, batch=BATCH),
        up_and_down(steps // 10, rate=1e-3, weight_decay=0.1),
    )


def versions_of(model: Predictor, statements: Sequence[Statement]) -> Encoding:
    """Encoded prompts by number: number n is statement n // VERSIONS in its version n % VERSIONS."""
    boxes = [small(statement.boxes, SIDE) for statement in statements]
    texts = [read(model, [recoloured(one.words, colouring) for colouring in COLOURINGS]) for one in statements]

    def media_of(number: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        n, version = divmod(number, VERSIONS)
        colouring, turned = divmod(version, 2)
        pixels = repainted(boxes[n], COLOURINGS[colouring])
        if turned:
            pixels = mirrored(statements[n].words, pixels)
        return {"pixel_values": torch.from_numpy(pixels).permute(0, 3, 1, 2)}, texts[n][colouring]

    def some(numbers: Sequence[int]) -> list[EncodedPrompt]:
        pictures, words = zip(*(media_of(number) for number in numbers), strict=True)
        return encoding_of(model, {"image": pictures, "text": words})(range(len(numbers)))

    return some


def taught(statements: Sequence[Statement], steps: int, seed: int) -> Predictor:
    """A model that has learnt from these statements."""
    model = new_predictor(family(), [statement.words for statement in statements], seed)
    truth = torch.tensor([int(statement.true) for statement in statements]).repeat_interleave(VERSIONS)
    table = Table(versions_of(model, statements), {"true": truth}, len(truth))
    return trained(model, table, training(steps), seed)


def chances(model: Predictor, statements: Sequence[Statement]) -> Tensor:
    """How likely each statement is true, the mean over its versions, (N,)."""
    encoded = versions_of(model, statements)(range(len(statements) * VERSIONS))
    said = model.predict(encoded)["true.logits"].softmax(1)[:, 1]
    return said.view(len(statements), VERSIONS).mean(1)


def told(right: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """A share with its interval, and with the one that other sentences would give."""
    share = exactness(right)
    low, high = bootstrap_interval(right, groups=groups)
    return {
        "accuracy": round(share.rate, 4),
        "interval": [round(share.low, 4), round(share.high, 4)],
        "interval over sentences": [round(low, 4), round(high, 4)],
    }


def rounds_of(said: Any) -> tuple[list[Statement], np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """All statements, their groups, and for each round the numbers of what is learnt from and of what is judged."""
    statements = read_statements(said.train)
    given = read_statements(said.test) if said.test else []
    both = [*statements, *given]
    groups = groups_of(both)
    if given:
        tested = np.arange(len(both)) >= len(statements)
        learnt = ~np.isin(groups, groups[tested])
        return both, groups, [(np.flatnonzero(learnt), np.flatnonzero(tested))]
    folds = folds_of(groups, FOLDS, SPLIT)
    return both, groups, [(np.flatnonzero(folds != n), np.flatnonzero(folds == n)) for n in range(FOLDS)]


def main() -> None:
    """Learn, judge, print and write."""
    parser = parser_of(__doc__, "folder with NAME.jsonl and NAME.zip", "folder of the same form")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=300)
    said = begun(parser)
    started = time.monotonic()
    statements, groups, rounds = rounds_of(said)
    judged = np.concatenate([shown for _, shown in rounds])
    truth = np.array([statement.true for statement in statements])
    found, majority = np.zeros((said.seeds, len(statements))), np.zeros(len(statements), dtype=bool)
    for learnt, shown in rounds:
        known = [statements[n] for n in learnt]
        majority[shown] = truth[learnt].mean() > 0.5
        for seed in range(said.seeds):
            found[seed, shown] = chances(taught(known, said.steps, seed), [statements[n] for n in shown]).numpy()
        print(f"{len(shown)} statements: {((found.mean(0) > 0.5) == truth)[shown].mean():.3f}", flush=True)
    right = (found.mean(0) > 0.5) == truth
    figures = {
        "model": told(right[judged], groups[judged]),
        "majority": told((majority == truth)[judged], groups[judged]),
        "seeds": [round(float(((one > 0.5) == truth)[judged].mean()), 4) for one in found],
        "folds": [round(float(right[shown].mean()), 4) for _, shown in rounds],
        "statements": len(judged),
        "sentences": len({statements[n].words for n in judged}),
        "steps": said.steps,
        "minutes": round((time.monotonic() - started) / 60, 2),
    }
    write_figures(said.json, figures)
    for name in ("model", "majority"):
        low, high = figures[name]["interval"]
        print(f"{name:10s} {figures[name]['accuracy']:.4f} ({low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
